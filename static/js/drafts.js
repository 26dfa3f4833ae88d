// The gate: how many drafts are marked stands in the button.

import { all, grouped, one } from "./page.js";

function count() {
  const marked = all("#gate [name=draft]:checked").length;
  const place = one("[data-marked]");
  if (place) place.textContent = marked ? `(${grouped(marked)})` : "";
}

one("#gate")?.addEventListener("change", count);
count();
