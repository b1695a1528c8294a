// Live changes. The browser reconnects by itself and resumes after the last change
// that it received.

import { $, element, money, clock } from "./page.js";

const shown = 50;

export function follow(changed, open) {
  const source = new EventSource("/api/v1/changes");
  const pulse = (text) => { $("pulse").textContent = text; $("pulse").dataset.state = text; };
  source.onopen = () => pulse("live");
  source.onerror = () => pulse("connecting");
  for (const kind of ["created", "changed", "deleted"]) {
    source.addEventListener(kind, (event) => {
      const change = JSON.parse(event.data);
      show(kind, change, open);
      changed(kind, change);
    });
  }
}

function show(kind, { productId, version, at, product }, open) {
  const li = element("li", "", { class: kind });
  const name = element("button", product?.name ?? productId, { type: "button" });
  name.onclick = () => open(productId);
  li.append(
    element("time", clock(at), { datetime: at }),
    element("b", kind),
    name,
    element("small", [`version ${version}`, product && money(product.price)].filter(Boolean).join(" · ")),
  );
  $("changes").prepend(li);
  while ($("changes").children.length > shown) $("changes").lastChild.remove();
}
