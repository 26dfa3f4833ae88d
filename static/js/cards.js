// A card whose numbers do not come says so itself, instead of taking an error's page in.

import { one } from "./page.js";

const card = (event) => event.detail.ctx?.sourceElement?.closest("[id^=card-]");

function giveUp(box) {
  one("p", box).replaceChildren(one("#card-failed").content.cloneNode(true));
}

document.addEventListener("htmx:before:response", (event) => {
  if (!card(event) || event.detail.ctx.response.status < 400) return;
  event.preventDefault(); // nothing is put in
  giveUp(card(event));
});
document.addEventListener("htmx:error", (event) => { if (card(event)) giveUp(card(event)); }); // no connection
