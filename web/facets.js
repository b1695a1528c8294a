// Filters for the search results: category, brand, and the attributes that most of
// the products have.

import { call } from "./api.js";
import { $, element } from "./page.js";

const maxCategories = 8, maxBrands = 8, maxValues = 6, maxAttributes = 3; // longer rows are hard to scan

// same reports whether two texts are spellings of one value, as the API counts and filters.
const same = (a, b) => spelling(a) === spelling(b);
const spelling = (value) => value.replace(/[\p{Cf}\p{Variation_Selector}]/gu, "").normalize("NFKC").toLowerCase()
  .replace(/\s+/g, " ").replace(/ ?\/ ?/g, "/").trim();

// row is a row of buttons, one for each value with its count. The chosen one is
// pressed; pressing it again clears the choice.
function row(name, values, chosen, choose) {
  const group = element("div", "", { role: "group", "aria-label": name });
  for (const { value, count } of values) {
    const pressed = chosen !== undefined && same(value, chosen);
    const b = element("button", value, { type: "button", "aria-pressed": String(pressed) });
    b.append(element("span", count.toLocaleString()));
    b.onclick = () => choose(pressed ? "" : value);
    group.append(b);
  }
  return [element("span", name, { class: "kind", "aria-hidden": "true" }), group];
}

// categories shows the categories of the search results.
export function categories(facets, chosen, choose) {
  const values = facets?.find((f) => f.field === "category")?.values ?? [];
  $("categories").replaceChildren(...(values.length ? row("category", values.slice(0, maxCategories), chosen, choose) : []));
}

// brands shows the brands of the search results.
export function brands(facets, chosen, choose) {
  const values = facets?.find((f) => f.field === "brand")?.values ?? [];
  $("brands").replaceChildren(...(values.length ? row("brand", values.slice(0, maxBrands), chosen, choose) : []));
}

// attributes shows the attributes of the products that the query finds; items is
// the first page. chosen maps the chosen attributes to their values. The response
// is dropped when isCurrent() is false by then.
export async function attributes(query, items, chosen, choose, isCurrent) {
  const had = new Map();
  for (const item of items) for (const key of Object.keys(item.attributes ?? {})) had.set(key, (had.get(key) ?? 0) + 1);
  const often = [...had.keys()].filter((key) => had.get(key) * 2 >= items.length && !key.includes(":")) // a colon would end the key in a query
    .sort((a, b) => had.get(b) - had.get(a) || a.localeCompare(b));
  const keys = [...new Set([...chosen.keys(), ...often])].slice(0, 10); // the API counts by at most 10 attributes
  let facets = [];
  if (keys.length) {
    const asked = new URLSearchParams(query);
    asked.set("limit", "1");
    for (const key of keys) asked.append("facet", key);
    ({ body: { facets } } = await call(`/api/v1/products?${asked}`));
  }
  if (!isCurrent()) return;
  const shown = facets.filter(({ attribute, values }) => chosen.has(attribute) || chooses(values)).slice(0, Math.max(maxAttributes, chosen.size));
  $("attributes").replaceChildren(...shown.flatMap(({ attribute, values }) =>
    row(attribute, values.slice(0, maxValues), chosen.get(attribute), (value) => choose(attribute, value))));
}

// chooses reports whether the values make a useful filter: not a single value, not
// numbers, and not very many values.
const chooses = (values) => values.length > 1 && values.length < 50 && values.some(({ value }) => Number.isNaN(Number(value)));
