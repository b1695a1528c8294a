// Small things that make up the page. Text from the catalogue is text, never
// markup.

export const $ = (id) => document.getElementById(id);

export function element(name, text, attributes = {}) {
  const e = document.createElement(name);
  e.textContent = text;
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  return e;
}

// marked is a text in fragments, those that match marked.
export const marked = (fragments) => fragments.map(({ text, match }) => (match ? element("mark", text) : text));

export const money = (p) => `${p.amount} ${p.currency}`;

export const clock = (time) => new Date(time).toLocaleTimeString([], { hour12: false });

export const day = (time) => new Date(time).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });

// button is a button that does what it says and cannot be pressed meanwhile.
export function button(text, label, action) {
  const b = element("button", text, { type: "button", "aria-label": label });
  b.onclick = async () => {
    b.disabled = true;
    try { await action(); } finally { b.disabled = false; }
  };
  return b;
}
