// The dialog of one product: its form and its history.

import { call, write, explain } from "./api.js";
import { $, element, money, day, button } from "./page.js";

const form = () => $("edit").elements;
const fields = () => [...form()].map((input) => input.name).filter(Boolean); // index.html lists them
let current = null; // the product in the dialog; null for a new one
let oldest = 0; // the oldest version in the list
let busy = false; // a command is in progress
let onWrite = () => {};

// prepare connects the buttons of the dialog. done is called after each write.
export function prepare(done) {
  onWrite = done;
  $("edit").onsubmit = (event) => { event.preventDefault(); send(save); };
  $("delete").onclick = () => send(remove);
  $("older").onclick = () => versions(oldest);
}

// open shows a product, or without an id the form for a new one.
export async function open(id) {
  $("wrong").textContent = "";
  if (!id) return fill(null);
  try {
    fill((await call(`/api/v1/products/${id}`)).body);
  } catch (problem) {
    if (problem?.status !== 404) throw problem;
    fill({ id, deleted: true }); // its history remains, for a restore
  }
  await versions();
}

// refresh reloads the product if it is the one in the dialog. While the form has
// the focus, it reloads only the history.
export function refresh(id) {
  if (busy || !$("product").open || current?.id !== id) return;
  if ($("edit").contains(document.activeElement)) versions(); else open(id);
}

function fill(product) {
  current = product;
  $("title").textContent = product ? product.name ?? "A deleted product" : "New product";
  const prior = product?.lowestPrice30d;
  $("about").textContent = [
    product?.version && `Version ${product.version}`, product?.updatedAt && `changed ${day(product.updatedAt)}`,
    prior && `lowest price in the 30 days before this one: ${money(prior)}`, product?.id,
  ].filter(Boolean).join(" · ");
  const values = { currency: "EUR", ...product, ...product?.price };
  for (const f of fields()) form()[f].value = values[f] ?? "";
  $("edit").hidden = Boolean(product?.deleted);
  $("delete").hidden = !product;
  $("past").hidden = !product;
  $("versions").replaceChildren();
  if (!$("product").open) $("product").showModal();
}

async function versions(before) {
  const { body } = await call(`/api/v1/products/${current.id}/history?limit=10${before ? `&before=${before}` : ""}`);
  const list = body.items.map(version);
  if (before) $("versions").append(...list); else $("versions").replaceChildren(...list);
  oldest = body.nextBefore ?? 0;
  $("older").hidden = !oldest;
}

function version(v) {
  const li = element("li", "", { class: v.outcome });
  const head = element("div", "", { class: "version" });
  head.append(element("b", `${v.version}`), element("span", v.outcome), element("time", day(v.at), { datetime: v.at }));
  if (v.outcome !== "deleted" && v.version !== current.version) {
    head.append(button("Restore", `Restore version ${v.version}`, () => send(() => restore(v.version))));
  }
  li.append(head);
  for (const c of v.outcome === "deleted" ? [] : v.changes) {
    const line = element("div", `${c.field} `, { class: "change" });
    if (c.from) line.append(element("del", c.from), " ");
    if (c.to) line.append(element("ins", c.to));
    li.append(line);
  }
  return li;
}

// send runs a write, shows its timeline and then the new state of the product.
async function send(action) {
  if (busy) return;
  busy = true;
  $("wrong").textContent = "";
  for (const li of $("steps").children) { li.className = ""; li.lastChild.textContent = ""; }
  try {
    const { id, receipt } = await action();
    $("what").textContent = `${receipt.outcome}, version ${receipt.version}, position ${receipt.position}`;
    if (receipt.outcome === "deleted") $("product").close(); else await open(id);
    onWrite();
  } catch (problem) {
    $("what").textContent = $("wrong").textContent = explain(problem);
  } finally {
    busy = false;
  }
}

async function command(label, method, path, options) {
  $("what").textContent = label;
  const receipt = await write(method, path, {
    ...options,
    step(name, ms) {
      const li = $("steps").querySelector(`[data-step=${name}]`);
      li.className = "done";
      li.lastChild.textContent = `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
    },
  });
  return { id: receipt.productId, receipt };
}

function save() {
  const { name, amount, currency, ...rest } = Object.fromEntries(fields().map((f) => [f, form()[f].value.trim()]));
  const body = { name, price: { amount, currency } };
  for (const [k, v] of Object.entries(rest)) if (v || current) body[k] = v || null;
  return current
    ? command(`Changing ${name} …`, "PATCH", `/api/v1/products/${current.id}`, { body, type: "application/merge-patch+json", version: current.version })
    : command(`Creating ${name} …`, "POST", "/api/v1/products", { body });
}

const restore = (version) =>
  command(`Restoring version ${version} …`, "POST", `/api/v1/products/${current.id}/restore`, { body: { version }, version: current.version });

const remove = () => command(`Deleting ${current.name} …`, "DELETE", `/api/v1/products/${current.id}`, { version: current.version });
