// The start page: products with a search box, live changes, and the timeline of
// each command.

import { call, explain } from "./api.js";
import { attributes, brands, categories } from "./facets.js";
import { follow } from "./live.js";
import { $, element, marked, money } from "./page.js";
import { open, prepare, refresh } from "./product.js";
import { suggest } from "./suggest.js";

const state = { q: "", category: "", brand: "", attributes: new Map(), cursor: "", asked: 0 };

// show returns the list item of a product, with the matches of the search marked.
function show(product, highlights = {}) {
  const text = (field) => (highlights[field] ? marked(highlights[field]) : [product[field] ?? ""]);
  const li = element("li", "", { "data-id": product.id });
  const name = element("button", "", { type: "button" });
  name.append(...text("name"));
  name.onclick = () => open(product.id);
  const price = element("span", money(product.price), { class: "price" });
  if (product.lowestPrice30d) price.title = `lowest in the 30 days before: ${money(product.lowestPrice30d)}`;
  const about = element("small", "");
  for (const field of ["sku", "brand", "category"]) if (product[field]) about.append(...text(field), " · ");
  about.append(`version ${product.version}`);
  li.append(name, price, about);
  if (product.description) {
    const description = element("p", "");
    description.append(...text("description"));
    li.append(description);
  }
  return li;
}

// find searches for a text and resets the filters.
function find(q) {
  Object.assign(state, { q: q.trim(), category: "", brand: "", attributes: new Map() });
  load();
}

// offer returns a button that searches for a text.
function offer(text) {
  const b = element("button", text, { type: "button" });
  b.onclick = () => { $("q").value = text; find(text); };
  return b;
}

function inCategory(category) {
  state.category = category;
  load();
}

function ofBrand(brand) {
  state.brand = brand;
  load();
}

function withAttribute(key, value) {
  if (value) state.attributes.set(key, value); else state.attributes.delete(key);
  load();
}

async function load(more = false) {
  const asked = ++state.asked;
  const query = new URLSearchParams({ limit: 30 });
  if (state.q) query.set("q", state.q);
  if (state.category) query.set("category", state.category);
  if (state.brand) query.set("brand", state.brand);
  for (const [key, value] of state.attributes) query.append("attribute", `${key}:${value}`);
  const narrowed = String(query);
  if (state.q) query.set("highlight", "true");
  if (more) query.set("cursor", state.cursor); else query.set("facets", "category,brand");
  const start = performance.now();
  try {
    const { body } = await call(`/api/v1/products?${query}`);
    if (asked !== state.asked) return; // a newer request is in progress
    const items = body.items.map((product) => show(product, body.highlights?.[product.id]));
    if (more) $("items").append(...items); else $("items").replaceChildren(...items);
    state.cursor = body.nextCursor ?? "";
    $("more").hidden = !state.cursor;
    const ms = Math.round(performance.now() - start);
    $("count").textContent = `${body.total.toLocaleString()} ${body.total === 1 ? "product" : "products"} in ${ms} ms`;
    if (more) return;
    $("did-you-mean").replaceChildren(...hints(body));
    categories(body.facets, state.category, inCategory);
    brands(body.facets, state.brand, ofBrand);
    await attributes(narrowed, body.items, state.attributes, withAttribute, () => asked === state.asked);
  } catch (problem) {
    if (asked === state.asked) $("count").textContent = explain(problem);
  }
}

// hints shows how the text of the search was understood, when no product matches it as it is.
function hints(body) {
  const all = [];
  if (body.didYouMean) all.push("Did you mean ", offer(body.didYouMean), "? ");
  for (const { word, correction } of body.corrections ?? []) all.push(`No product has “${word}”: these have “${correction}”. `);
  if (body.match === "partial") all.push(`No product has all words. Not found: ${body.unmatched.join(", ")}. `);
  return all;
}

// changed updates the list item of a changed product, if it is on the page.
function changed(kind, { productId, product }) {
  const old = $("items").querySelector(`[data-id="${productId}"]`);
  refresh(productId);
  if (!old) return;
  if (!product) return old.remove();
  const li = show(product);
  li.className = "changed";
  old.replaceWith(li);
}

$("q").oninput = () => find($("q").value);
$("search").onsubmit = (event) => event.preventDefault();
suggest({
  text(text) { $("q").value = text; find(text); },
  category: inCategory,
  product: open,
});
$("more").onclick = () => load(true);
$("new").onclick = () => open();

prepare(() => load());
load();
follow(changed, open);
