// Calls to the API. Reads see this page's own writes: each read carries the
// position of the last write.

let position = "";

// call returns the response and its body, or throws the problem of an error response.
export async function call(path, options = {}) {
  const headers = { ...options.headers };
  if (position && !options.method) headers["Catalog-Position"] = position;
  const response = await fetch(path, { ...options, headers });
  const body = response.status === 204 ? null : await response.json();
  if (!response.ok) throw body;
  return { response, body };
}

// retryStale repeats a read while the read side has not applied the last write.
async function retryStale(read) {
  for (let tries = 0; ; tries++) {
    try {
      return await read();
    } catch (problem) {
      if (problem?.status !== 503 || problem.code === "too_slow" || tries === 20) throw problem;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

// write sends a command and calls step(name, milliseconds) when the command has
// reached each step of the timeline. It returns the receipt.
export async function write(method, path, { body, type = "application/json", version, step }) {
  const start = performance.now();
  const reached = (name) => step(name, performance.now() - start);
  const headers = { Prefer: "respond-async", "Idempotency-Key": crypto.randomUUID?.() ?? String(Math.random()).slice(2) };
  if (body) headers["Content-Type"] = type;
  if (version) headers["If-Match"] = `"${version}"`;
  const { response } = await call(path, { method, headers, body: body && JSON.stringify(body) });
  reached("accepted");
  const { body: receipt } = await call(`/api/v1/commands/${response.headers.get("Command-Id")}?wait=20`);
  if (receipt.status === "refused") throw receipt.problem;
  reached("settled");
  position = receipt.position;
  const readable = retryStale(() => call(`/api/v1/products/${receipt.productId}`))
    .catch((problem) => { if (problem?.status !== 404) throw problem; }) // expected after a deletion
    .then(() => reached("readable"));
  const searchable = retryStale(() => call("/api/v1/products?limit=1")).then(() => reached("searchable"));
  await Promise.all([readable, searchable]);
  return receipt;
}

// explain returns the text of a problem.
export function explain(problem) {
  if (!problem?.title) return "The catalogue cannot be reached.";
  const fields = (problem.errors ?? []).map((e) => `${e.field} ${e.reason}`);
  return [problem.title, ...(fields.length ? fields : [problem.detail])].filter(Boolean).join("\n");
}
