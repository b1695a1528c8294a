// The start page: products with a search box, what changes live, and the way
// of each command.
//
// Reads carry Catalog-Position (api.js), so that what was written here is there.

import { call, explain } from "./api.js";
import { follow } from "./live.js";
import { $, element, money } from "./page.js";
import { open, prepare, refresh } from "./product.js";

const state = { q: "", category: "", cursor: "", asked: 0 };

function show(product) {
  const li = element("li", "", { "data-id": product.id });
  const name = element("button", product.name, { type: "button" });
  name.onclick = () => open(product.id);
  const price = element("span", money(product.price), { class: "price" });
  if (product.lowestPrice30d) price.title = `lowest in the 30 days before: ${money(product.lowestPrice30d)}`;
  li.append(name, price, element("small", [product.sku, product.category, `version ${product.version}`].filter(Boolean).join(" · ")));
  if (product.description) li.append(element("p", product.description));
  return li;
}

function facets(list) {
  const categories = list?.find((f) => f.field === "category")?.values ?? [];
  const buttons = categories.slice(0, 12).map(({ value, count }) => {
    const b = element("button", value, { type: "button", "aria-pressed": String(value === state.category) });
    b.append(element("span", count.toLocaleString()));
    b.onclick = () => { state.category = state.category === value ? "" : value; load(); };
    return b;
  });
  $("facets").replaceChildren(...buttons);
}

async function load(more = false) {
  const asked = ++state.asked;
  const query = new URLSearchParams({ limit: 30 });
  if (state.q) query.set("q", state.q);
  if (state.category) query.set("category", state.category);
  if (more) query.set("cursor", state.cursor); else query.set("facets", "true");
  const since = performance.now();
  try {
    const { body } = await call(`/api/v1/products?${query}`);
    if (asked !== state.asked) return; // a newer question is on its way
    const items = body.items.map(show);
    if (more) $("items").append(...items); else { $("items").replaceChildren(...items); facets(body.facets); }
    state.cursor = body.nextCursor ?? "";
    $("more").hidden = !state.cursor;
    const ms = Math.round(performance.now() - since);
    $("count").textContent = `${body.total.toLocaleString()} ${body.total === 1 ? "product" : "products"} in ${ms} ms`;
  } catch (problem) {
    if (asked === state.asked) $("count").textContent = explain(problem);
  }
}

// changed shows in place what has changed of a product that is on the page.
function changed(kind, { productId, product }) {
  const old = $("items").querySelector(`[data-id="${productId}"]`);
  refresh(productId);
  if (!old) return;
  if (!product) return old.remove();
  const li = show(product);
  li.className = "changed";
  old.replaceWith(li);
}

$("q").oninput = (event) => { state.q = event.target.value.trim(); state.category = ""; load(); };
$("search").onsubmit = (event) => event.preventDefault();
$("more").onclick = () => load(true);
$("new").onclick = () => open();

prepare(() => load());
load();
follow(changed, open);
