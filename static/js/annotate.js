// The annotate page. Without this module the page is a plain form, and works.

import * as answers from "./answers.js";
import * as commands from "./commands.js";
import * as hold from "./hold.js";
import * as loop from "./loop.js";
import * as notices from "./notices.js";
import * as panes from "./panes.js";
import * as save from "./save.js";
import * as stage from "./stage.js";
import { all, answerForm, one } from "./page.js";

/** Bring a record to life: on load, and whenever the next one has taken its place. */
function startRecord() {
  save.start();
  hold.note();
  panes.start();
  if (answerForm()) answers.start();
  loop.showPlace();
  save.restore();
  for (const list of all("#queue, #sort")) list.addEventListener("change", () => list.form.requestSubmit());
  const skip = one("form:has(> [data-go=next])");
  skip?.addEventListener("submit", (event) => {
    event.preventDefault();
    if (save.isDirty()) one("#answer [name=do][value=draft]").click();
    else save.sendForm(skip, "skip");
  });
}

stage.whenShown(startRecord);
loop.start({ onChange: save.refresh });
notices.start();
startRecord();
for (const [name, run] of [["undo", loop.undo], ["redo", loop.redo]])
  one(`#${name}`).addEventListener("submit", (event) => {
    event.preventDefault();
    run(event.target);
  });
commands.start();
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-opens=filter]");
  if (!link || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  import("./filter.js").then(({ open }) => open(link)).catch(() => location.assign(link.href));
});
// Empty fields need not stand in the address.
document.addEventListener("formdata", ({ target, formData }) => {
  if (target.method !== "get") return;
  for (const [name, text] of [...formData]) if (!text || `${name}=${text}` === "status=pending") formData.delete(name);
});
hold.start();
if (answerForm()) one(one("#errors").hidden ? "h1" : "#errors").focus({ preventScroll: true });
