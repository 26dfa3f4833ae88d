// What each key does. Nothing is bound to Backspace; single keys pause while somebody types.

import * as answers from "./answers.js";
import * as ranking from "./ranking.js";
import * as spans from "./spans.js";
import { all, one } from "./page.js";

const SWITCH = "stoneware.single-keys"; // "off" in localStorage: only Ctrl, Enter, Esc and arrows

const isText = (element) =>
  element.matches?.("textarea, select, [contenteditable], input:not([type=radio], [type=checkbox])");
const isControl = (element) => element.matches?.("a, button, summary, select");
const press = (selector) => one(selector)?.click();

const LETTERS = {
  d: () => press("#answer [name=do][value=discard]"),
  j: () => answers.stepQuestion(1),
  k: () => answers.stepQuestion(-1),
  n: () => press("[data-go=next]"),
  "]": () => press("[data-go=next]"),
  p: () => press("[data-go=previous]"),
  "[": () => press("[data-go=previous]"),
  t: () => inRanking() && ranking.tie(answers.current()),
  x: () => answers.clear(answers.current()),
  y: () => answers.accept(answers.current()),
  Y: () => answers.acceptAll(),
  "\\": toggleGuidelines,
  "?": openKeys,
};
const ARROWS = {
  ArrowDown: () => answers.step(1),
  ArrowUp: () => answers.step(-1),
  ArrowRight: () => answers.stepOption(1),
  ArrowLeft: () => answers.stepOption(-1),
};

const inRanking = () => answers.current()?.dataset.type === "ranking";

function toggleGuidelines() {
  const guidelines = one("#guidelines");
  if (guidelines) guidelines.open = !guidelines.open;
}

export function openKeys() {
  const sheet = one("#keys");
  if (!sheet.open) sheet.showModal();
}

/** The digit of a key by its place, since AZERTY needs Shift for digits. */
function digitOf(event) {
  return /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
}

function onControl(event) {
  if (event.key === "Enter") press("#answer [name=do][value=submit]");
  else if (event.key.toLowerCase() === "s") press("#answer [name=do][value=draft]");
  else return false;
  return true;
}

function onAlt(event) {
  const item = document.activeElement.closest?.(".rank > li") ?? one(".q.now .rank > li.on");
  if (!item || !["ArrowUp", "ArrowDown"].includes(event.key)) return false;
  ranking.move(item, event.key === "ArrowUp" ? -1 : 1);
  return true;
}

function onText(event, target) {
  if (event.key !== "Escape" || !target.closest(".q")) return false;
  target.closest(".q").focus();
  return true;
}

function onEnter(event, target) {
  if (event.shiftKey) return answers.enterText();
  if (isControl(target)) return false;
  press("#answer [name=do][value=submit]");
  return true;
}

function onArrow(event, target) {
  if (target.matches?.(".pane, .qs") || isControl(target)) return false;
  ARROWS[event.key]();
  return true;
}

function onSingleKey(event) {
  if (localStorage.getItem(SWITCH) === "off") return false;
  const digit = event.shiftKey && /^[a-z]$/i.test(event.key) ? undefined : digitOf(event);
  if (digit !== undefined) answers.type(digit);
  else if (event.key === "/") return answers.enterFilter();
  else {
    const action = LETTERS[event.key] ?? LETTERS[event.key.toLowerCase()];
    if (!action || (event.repeat && "dnpDNP".includes(event.key))) return false;
    action();
  }
  return true;
}

function act(event) {
  const target = event.target;
  if (event.isComposing || event.defaultPrevented || event.getModifierState("AltGraph")) return false;
  if (one("dialog[open], [popover]:popover-open") || !answers.current()) return false;
  if (one("#work[aria-busy=true]")) return true; // meant for the next record, which is not here yet
  if (event.ctrlKey || event.metaKey) return !event.altKey && onControl(event);
  const marking = spans.questionOf(target);
  if (marking && spans.press(event, marking)) return true;
  if (event.altKey) return onAlt(event);
  if (isText(target)) return onText(event, target);
  if (event.key === "Enter") return onEnter(event, target);
  if (event.key in ARROWS) return onArrow(event, target);
  return onSingleKey(event);
}

export function start() {
  document.addEventListener("keydown", (event) => {
    if (act(event)) event.preventDefault();
  });
  const single = one("#single-keys");
  single.checked = localStorage.getItem(SWITCH) !== "off";
  single.addEventListener("change", () => {
    localStorage.setItem(SWITCH, single.checked ? "on" : "off");
  });
  for (const button of all("[data-opens=keys]")) button.addEventListener("click", openKeys);
  if (/^Mac|^iP/.test(navigator.platform))
    for (const key of all("kbd[data-control]")) key.textContent = key.textContent.replace("Ctrl ", "⌘");
}
