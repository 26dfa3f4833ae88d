// A draft is changed by keyboard. Without this module the page is a plain form, and works.

import * as keys from "./keys.js";
import { one } from "./page.js";

const form = one("#draft-form");
const content = () => new URLSearchParams(new FormData(form)).toString();
const press = (verb) => one(`[name=do][value=${verb}]`, form).click();
const before = content();
let warned = false;

/** Escape goes back; what was typed and not saved asks for it twice. */
function leave() {
  const changed = form.hasAttribute("data-changed") || content() !== before;
  if (!changed || warned) return one("#back").click();
  warned = true;
  one("#unsaved").hidden = false;
  return one("#unsaved").scrollIntoView({ block: "nearest" });
}

form.addEventListener("input", () => {
  warned = false;
  one("#unsaved").hidden = true;
});
keys.register({
  "draft.accept": () => press("accept"),
  "draft.save": () => press("save"),
  "draft.leave": leave,
});
if (!one("#errors")) one("#draft-form textarea")?.focus(); // what is wrong has it by itself
