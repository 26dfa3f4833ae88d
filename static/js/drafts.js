// The gate by keyboard; how many drafts are marked stands in the button.
// Without this module the page is a plain form, and works.

import * as keys from "./keys.js";
import { all, grouped, one } from "./page.js";

const rows = () => all("#gate .list > li");
const current = () => one("#gate .list > li.now");
const found = (selector) => current() && one(selector, current());

/** Press what the selector finds; false where there is nothing. */
function press(element) {
  if (!element) return false;
  element.click();
  return true;
}

function count() {
  const marked = all("#gate [name=draft]:checked").length;
  const place = one("[data-marked]");
  if (place) place.textContent = marked ? `(${grouped(marked)})` : "";
}

/** Mark a draft as the one that the keys are for. */
function go(row, { focus = true } = {}) {
  if (!row) return false;
  for (const other of rows()) other.classList.toggle("now", other === row);
  if (!focus) return true;
  row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
  return true;
}

function step(by) {
  const list = rows();
  const here = list.indexOf(current());
  return go(list[Math.min(Math.max(here + by, 0), list.length - 1)]);
}

one("#gate")?.addEventListener("change", count);
document.addEventListener("focusin", (event) => {
  const row = event.target.closest?.("#gate .list > li");
  if (row) go(row, { focus: false });
});
keys.register({
  "drafts.next": () => step(1),
  "drafts.previous": () => step(-1),
  "drafts.edit": () => press(found("[data-edit]")),
  "drafts.accept": () => press(found("[value^='accept:']")),
  "drafts.discard": () => press(found("[value^='discard:']")),
  "drafts.mark": () => press(found("[name=draft]")),
  "drafts.undo": () => press(one("#decided button")),
});
count();
const meant = location.hash && document.getElementById(location.hash.slice(1));
if (!go(rows().includes(meant) ? meant : null)) go(rows()[0], { focus: false });
