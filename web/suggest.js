// What a search box suggests while somebody is typing: words, categories and
// products. It is a combobox with a list: up and down go through it, enter takes
// what is marked, escape closes it, and the text stays where it is.

import { call } from "./api.js";
import { $, element, money } from "./page.js";

let asked = 0; // a number for each question: only the last one's answer is shown
let active = -1; // of the options; -1 for none
let options = []; // on the page, each with what taking it does

// suggest makes the box suggest. take has what is done with a text, a category or
// a product's id that somebody takes.
export function suggest(take) {
  const box = $("q");
  box.addEventListener("input", () => ask(box.value, take));
  box.addEventListener("blur", close);
  box.addEventListener("keydown", (event) => {
    if (event.isComposing) return; // the keys are an input method's
    const open = !$("suggestions").hidden;
    if (event.key === "Escape" && open) close();
    else if (event.key === "Enter" && open && active >= 0) options[active].take();
    else if (event.key === "ArrowDown" && !open && box.value) ask(box.value, take);
    else if (event.key === "ArrowDown" && open) mark(active + 1);
    else if (event.key === "ArrowUp" && open) mark(active - 1);
    else {
      if (event.key === "Enter") close();
      return;
    }
    event.preventDefault();
  });
}

async function ask(text, take) {
  const mine = ++asked;
  if (!text.trim()) return close();
  try {
    const { body } = await call(`/api/v1/suggest?${new URLSearchParams({ q: text })}`);
    if (mine === asked) show(text, body, take);
  } catch {
    if (mine === asked) close(); // the search itself says what is wrong
  }
}

function show(text, { texts, categories, products }, take) {
  options = [];
  const group = (name, list, fill) => {
    if (!list.length) return [];
    const ul = element("ul", "", { role: "group", "aria-label": name });
    ul.append(...list.map((item) => {
      const li = element("li", "", { role: "option", id: `option-${options.length}`, "aria-selected": "false" });
      const then = fill(li, item);
      options.push({ li, take: () => { close(); then(); } });
      li.onmousedown = (event) => event.preventDefault(); // the box keeps the focus
      li.onclick = options.at(-1).take;
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
      return () => take.text(completed);
    }),
    ...group("Categories", categories, (li, { value, count }) => {
      li.append(element("span", value), element("small", count.toLocaleString()));
      return () => take.category(value);
    }),
    ...group("Products", products, (li, product) => {
      li.append(element("span", product.name), element("small", [product.sku, money(product.price)].filter(Boolean).join(" · ")));
      return () => take.product(product.id);
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
  asked++; // an answer that is on its way comes too late
  open(false);
}

// mark marks an option. Before the first and behind the last there is none.
function mark(i) {
  options[active]?.li.setAttribute("aria-selected", "false");
  active = (i + 1 + options.length + 1) % (options.length + 1) - 1;
  const li = options[active]?.li;
  if (!li) return $("q").removeAttribute("aria-activedescendant");
  li.setAttribute("aria-selected", "true");
  li.scrollIntoView({ block: "nearest" });
  $("q").setAttribute("aria-activedescendant", li.id);
}
