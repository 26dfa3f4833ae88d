// A key pressed in a field is written into it. Without this module the key is typed in words.

import { nameOf } from "./keys.js";
import { all, one } from "./page.js";

const PASS = new Set(["Tab", "Shift+Tab", "Enter", "Escape", "Shift", "Control", "Alt", "Meta", "AltGraph"]);
const ERASE = new Set(["Delete", "Backspace"]);
const browsers = (name) => /^Control\+[acvxz]$/.test(name) || /^F\d+$/.test(name);
const PAUSE = 800; // ms within which a second key belongs to the first, as in "g m"
let before = { name: "", at: 0 };

function note(event) {
  if (event.isComposing || event.keyCode === 229) return;
  const name = nameOf(event);
  if (PASS.has(event.key) || PASS.has(name) || browsers(name)) return;
  event.preventDefault();
  const field = event.target;
  const first = event.timeStamp - before.at < PAUSE ? before.name : "";
  field.value = ERASE.has(event.key) ? "" : first ? `${first} ${name}` : name;
  before = { name: first || ERASE.has(event.key) ? "" : name, at: event.timeStamp };
}

for (const field of all("[data-key]")) {
  field.addEventListener("keydown", note);
  field.addEventListener("focus", () => { before = { name: "", at: 0 }; });
}
one("#key-errors")?.focus();
