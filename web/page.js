// Helpers to build the page. Text from the catalogue is inserted as text, never as
// markup.

export const $ = (id) => document.getElementById(id);

export function element(name, text, attributes = {}) {
  const e = document.createElement(name);
  e.textContent = text;
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  return e;
}

// marked returns the fragments of a text as nodes, with a mark around each match.
export const marked = (fragments) => fragments.map(({ text, match }) => (match ? element("mark", text) : text));

export const money = (p) => `${p.amount} ${p.currency}`;

export const clock = (time) => new Date(time).toLocaleTimeString([], { hour12: false });

export const day = (time) => new Date(time).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });

// button returns a button that is disabled while its action runs.
export function button(text, label, action) {
  const b = element("button", text, { type: "button", "aria-label": label });
  b.onclick = async () => {
    b.disabled = true;
    try { await action(); } finally { b.disabled = false; }
  };
  return b;
}
