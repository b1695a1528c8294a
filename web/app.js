// The start page: a search box over the products and a form for new ones.
// It reads its own writes: what it wrote last is sent along as a position.

const $ = (id) => document.getElementById(id);
const state = { q: "", category: "", cursor: "", position: "", asked: 0 };

async function call(path, options = {}) {
  const headers = { ...options.headers };
  if (state.position && !options.method) headers["Catalog-Position"] = state.position;
  const answer = await fetch(path, { ...options, headers });
  const body = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw body;
  return { answer, body };
}

const money = (p) => `${p.amount} ${p.currency}`;

function element(name, text, attributes = {}) {
  const e = document.createElement(name);
  e.textContent = text;
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  return e;
}

function show(product) {
  const li = document.createElement("li");
  li.append(
    element("b", product.name),
    element("span", money(product.price), { class: "price" }),
    element("small", [product.sku, product.category, `version ${product.version}`].filter(Boolean).join(" · ")),
  );
  if (product.description) li.append(element("p", product.description));
  return li;
}

function facets(list) {
  const categories = list?.find((f) => f.field === "category")?.values ?? [];
  const buttons = categories.slice(0, 20).map(({ value, count }) => {
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
    if (asked === state.asked) $("count").textContent = text(problem);
  }
}

function text(problem) {
  if (!problem?.title) return "The catalogue cannot be reached.";
  const fields = (problem.errors ?? []).map((e) => `${e.field} ${e.reason}`);
  return [problem.title, ...(fields.length ? fields : [problem.detail])].filter(Boolean).join("\n");
}

$("q").oninput = (event) => { state.q = event.target.value.trim(); state.category = ""; load(); };
$("search").onsubmit = (event) => event.preventDefault();
$("more").onclick = () => load(true);

$("create").onsubmit = async (event) => {
  event.preventDefault();
  const form = event.target;
  const { name, sku, amount, currency, category, description } = Object.fromEntries(new FormData(form));
  const draft = { name, price: { amount, currency } };
  for (const [k, v] of Object.entries({ sku, category, description })) if (v) draft[k] = v;
  try {
    const { answer, body } = await call("/api/v1/products", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() },
      body: JSON.stringify(draft),
    });
    state.position = answer.headers.get("Catalog-Position") ?? state.position;
    $("receipt").textContent = answer.status === 201
      ? `Created ${body.name} at version ${body.version}, position ${state.position}.`
      : `Accepted as command ${answer.headers.get("Command-Id")}.`;
    form.reset();
    load();
  } catch (problem) {
    $("receipt").textContent = text(problem);
  }
};

load();
