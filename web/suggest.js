// Suggestions of the search box: words, categories and products. The box is a
// combobox with a list: up and down move through the list, enter chooses the
// marked option, escape closes the list, and the text in the box stays.

import { call } from "./api.js";
import { $, element, money } from "./page.js";

let asked = 0; // number of the last request; older responses are dropped
let active = -1; // index of the marked option; -1 for none
let options = []; // elements of the list, each with its action

// suggest connects the search box. actions has a function for each kind of
// suggestion: text(text), category(path) and product(id).
export function suggest(actions) {
  const box = $("q");
  box.addEventListener("input", () => ask(box.value, actions));
  box.addEventListener("blur", close);
  box.addEventListener("keydown", (event) => {
    if (event.isComposing) return; // an input method uses the keys
    const open = !$("suggestions").hidden;
    if (event.key === "Escape" && open) close();
    else if (event.key === "Enter" && open && active >= 0) options[active].choose();
    else if (event.key === "ArrowDown" && !open && box.value) ask(box.value, actions);
    else if (event.key === "ArrowDown" && open) mark(active + 1);
    else if (event.key === "ArrowUp" && open) mark(active - 1);
    else {
      if (event.key === "Enter") close();
      return;
    }
    event.preventDefault();
  });
}

async function ask(text, actions) {
  const mine = ++asked;
  if (!text.trim()) return close();
  try {
    const { body } = await call(`/api/v1/suggest?${new URLSearchParams({ q: text })}`);
    if (mine === asked) show(text, body, actions);
  } catch {
    if (mine === asked) close(); // the search shows the error
  }
}

function show(text, { texts, categories, products }, actions) {
  options = [];
  const group = (name, list, fill) => {
    if (!list.length) return [];
    const ul = element("ul", "", { role: "group", "aria-label": name });
    ul.append(...list.map((item) => {
      const li = element("li", "", { role: "option", id: `option-${options.length}`, "aria-selected": "false" });
      const action = fill(li, item);
      options.push({ li, choose: () => { close(); action(); } });
      li.onmousedown = (event) => event.preventDefault(); // the box keeps the focus
      li.onclick = options.at(-1).choose;
      return li;
    }));
    return [element("div", name, { class: "kind", "aria-hidden": "true" }), ul];
  };
  $("suggestions").replaceChildren(
    ...group("Words", texts, (li, completed) => {
      const typed = completed.startsWith(text.toLowerCase()) ? text.length : 0;
      const words = element("span", completed.slice(0, typed));
      words.append(element("b", completed.slice(typed)));
      li.append(words);
      return () => actions.text(completed);
    }),
    ...group("Categories", categories, (li, { value, count }) => {
      li.append(element("span", value), element("small", count.toLocaleString()));
      return () => actions.category(value);
    }),
    ...group("Products", products, (li, product) => {
      li.append(element("span", product.name), element("small", [product.sku, money(product.price)].filter(Boolean).join(" · ")));
      return () => actions.product(product.id);
    }),
  );
  active = -1;
  open(options.length > 0 && document.activeElement === $("q"));
}

function open(yes) {
  $("suggestions").hidden = !yes;
  $("q").setAttribute("aria-expanded", String(yes));
  $("q").removeAttribute("aria-activedescendant");
}

function close() {
  asked++; // drops the response of a request in progress
  open(false);
}

// mark marks the option at i. Before the first and after the last, no option is marked.
function mark(i) {
  options[active]?.li.setAttribute("aria-selected", "false");
  active = (i + 1 + options.length + 1) % (options.length + 1) - 1;
  const li = options[active]?.li;
  if (!li) return $("q").removeAttribute("aria-activedescendant");
  li.setAttribute("aria-selected", "true");
  li.scrollIntoView({ block: "nearest" });
  $("q").setAttribute("aria-activedescendant", li.id);
}
