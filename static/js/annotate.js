// The annotate page. Without this module the page is a plain form, and works.

import * as answers from "./answers.js";
import * as commands from "./commands.js";
import * as hold from "./hold.js";
import * as loop from "./loop.js";
import * as notices from "./notices.js";
import * as save from "./save.js";
import * as stage from "./stage.js";
import { answerForm, one } from "./page.js";

/** Bring a record to life: on load, and whenever the next one has taken its place. */
function startRecord() {
  save.start();
  if (answerForm()) answers.start();
  save.restore();
  const queue = one("#queue"); // not there while the next record is on its way
  queue?.addEventListener("change", () => queue.form.requestSubmit());
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
hold.start();
if (answerForm()) one(one("#errors").hidden ? "h1" : "#errors").focus({ preventScroll: true });
