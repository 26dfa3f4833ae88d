// The filters of a queue in a dialog over the page; without this they are a page of their own.

import { one } from "./page.js";

export async function open(link) {
  const answer = await fetch(link.href, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
  const found = new DOMParser().parseFromString(await answer.text(), "text/html");
  const form = one("#search", found);
  if (!answer.ok || !form) throw new Error(String(answer.status));
  one("#filter [data-part]").replaceChildren(document.adoptNode(form));
  one("#filter").showModal();
}
