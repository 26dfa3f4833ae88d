// The annotate page. Without this module the page is a plain form, and works.

import * as answers from "./answers.js";
import * as commands from "./commands.js";
import * as hold from "./hold.js";
import * as save from "./save.js";
import { answerForm, one } from "./page.js";

/** Bring a record to life: on load, and whenever the next one has taken its place. */
function startRecord() {
  save.start({ onNewRecord: startRecord });
  if (answerForm()) answers.start();
  const queue = one("#queue");
  queue.addEventListener("change", () => queue.form.requestSubmit());
  const skip = one("form:has(> [data-go=next])");
  skip?.addEventListener("submit", (event) => {
    event.preventDefault();
    if (save.isDirty()) one("#answer [name=do][value=draft]").click();
    else save.sendForm(skip, "skip");
  });
}

startRecord();
commands.start();
hold.start();
if (answerForm()) one(one("#errors").hidden ? "h1" : "#errors").focus({ preventScroll: true });
