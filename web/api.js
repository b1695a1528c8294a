// Calls to the API. It reads its own writes: what was written last is sent along
// with each read as a position.

let position = "";

// call answers the answer and its body, or throws the problem that the answer is.
export async function call(path, options = {}) {
  const headers = { ...options.headers };
  if (position && !options.method) headers["Catalog-Position"] = position;
  const answer = await fetch(path, { ...options, headers });
  const body = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw body;
  return { answer, body };
}

// again repeats a read for as long as it says that it is behind.
async function again(read) {
  for (let tries = 0; ; tries++) {
    try {
      return await read();
    } catch (problem) {
      if (problem?.status !== 503 || tries === 20) throw problem;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

// write sends a command without waiting for it, and tells of each step on its
// way: step(name, milliseconds). It answers the receipt.
export async function write(method, path, { body, type = "application/json", version, step }) {
  const since = performance.now();
  const passed = (name) => step(name, performance.now() - since);
  const headers = { Prefer: "respond-async", "Idempotency-Key": crypto.randomUUID?.() ?? String(Math.random()).slice(2) };
  if (body) headers["Content-Type"] = type;
  if (version) headers["If-Match"] = `"${version}"`;
  const { answer } = await call(path, { method, headers, body: body && JSON.stringify(body) });
  passed("accepted");
  const { body: receipt } = await call(`/api/v1/commands/${answer.headers.get("Command-Id")}?wait=20`);
  if (receipt.status === "refused") throw receipt.problem;
  passed("settled");
  position = receipt.position;
  const viewed = again(() => call(`/api/v1/products/${receipt.productId}`))
    .catch((problem) => { if (problem?.status !== 404) throw problem; }) // which is how a deletion is seen
    .then(() => passed("viewed"));
  const found = again(() => call("/api/v1/products?limit=1")).then(() => passed("found"));
  await Promise.all([viewed, found]);
  return receipt;
}

// explain is a problem in words.
export function explain(problem) {
  if (!problem?.title) return "The catalogue cannot be reached.";
  const fields = (problem.errors ?? []).map((e) => `${e.field} ${e.reason}`);
  return [problem.title, ...(fields.length ? fields : [problem.detail])].filter(Boolean).join("\n");
}
