// Which key runs which command. The table comes with the page (#shortcuts); modules register what
// the commands do. A command that returns false leaves the key to the next one, then the browser.

import { all, one } from "./page.js";

const PAUSE = 1_000; // ms between the keys of "g m"
const CONTROLS = "a[href], button, summary, select, [role=button]";
const TEXTS = "textarea, select, [contenteditable], input:not([type=radio], [type=checkbox], [type=range])";

const runs = new Map(); // command → function
const interceptors = [];
let table = new Map(); // key → [{command, typing, repeats}]
let single = "on";
let prefix = "";
let forget = 0;

/** Say what commands do: `{"answer.discard": (event, digit) => …}`. */
export function register(commands) {
  for (const [command, run] of Object.entries(commands)) runs.set(command, run);
}

/** A function that sees every key before the table does; true means that the key is taken. */
export const intercept = (look) => interceptors.push(look);

/** Commands of this page that no module has registered. */
export const missing = () =>
  [...new Set([...table.values()].flat().map((entry) => entry.command))].filter((name) => !runs.has(name));

export const isText = (element) => Boolean(element.matches?.(TEXTS));
export const isControl = (element) => Boolean(element.matches?.(CONTROLS));

/** The digit of a key by its place, since AZERTY needs Shift for digits. */
export function digitOf(event) {
  if (/^[a-z]$/i.test(event.key)) return undefined;
  return /^\d$/.test(event.key) ? event.key : /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
}

const isChosen = (letter) => [...table.keys()].some((key) => key.includes(letter));

/** A letter no shortcut has, as on a Cyrillic keyboard, goes by its place: "ы" is where "s" is. */
function letterOf({ key, code }) {
  const isForeign = /^(?!\p{Script=Latin})[\p{L}\p{M}]+$/u.test(key) && !isChosen(key.toLowerCase());
  const letter = isForeign && /^Key(.)$/.exec(code)?.[1];
  return letter || key;
}

/** The key as the table writes it: "d", "Shift+y", "Control+s", "Alt+ArrowUp", "?". */
export function nameOf(event) {
  const key = letterOf(event);
  const isLetter = /^\p{L}$/u.test(key);
  const isSign = key.length === 1 && !isLetter && key !== " ";
  const parts = [];
  const third = event.getModifierState("AltGraph"); // of signs such as \ on many keyboards
  if ((event.ctrlKey || event.metaKey) && !third) parts.push("Control");
  if (event.altKey && !third) parts.push("Alt");
  if (event.shiftKey && !isSign) parts.push("Shift");
  parts.push(key === " " ? "Space" : isLetter ? key.toLowerCase() : key);
  return parts.join("+");
}

const isSingle = (name) => name.replace(/^Shift\+/, "").length === 1 || name === "Space";

function mayRun(entry, name, event) {
  const target = event.target;
  if (isText(target) && !entry.typing) return false;
  if (isControl(target) && ["Enter", "Space", "Shift+Enter"].includes(name)) return false;
  if (event.repeat && !entry.repeats) return false;
  if (!isSingle(name) && name !== "0-9") return true;
  return single === "on" || (single === "form" && Boolean(target.closest?.("form, [data-field]")));
}

function run(name, event, digit) {
  for (const entry of table.get(name) ?? []) {
    const command = runs.get(entry.command);
    if (!command || !mayRun(entry, name, event)) continue;
    if (command(event, digit) !== false) return true;
  }
  return false;
}

const begins = (name) => [...table.keys()].some((key) => key.startsWith(`${name} `));

/** The first of two keys waits for the second. */
function wait(name, event) {
  if (isText(event.target) || single === "off" || !begins(name)) return false;
  prefix = name;
  forget = setTimeout(() => { prefix = ""; }, PAUSE);
  return true;
}

function act(event) {
  if (event.isComposing || event.keyCode === 229 || event.defaultPrevented) return false;
  if (["Shift", "Control", "Alt", "Meta", "AltGraph"].includes(event.key)) return false;
  if (one("dialog[open], [popover]:popover-open")) return false;
  const name = nameOf(event);
  const first = prefix;
  prefix = "";
  clearTimeout(forget);
  if (first && run(`${first} ${name}`, event)) return true;
  if (interceptors.some((look) => look(event, name))) return true;
  if (run(name, event)) return true;
  const digit = name.includes("Control") || name.includes("Alt") ? undefined : digitOf(event);
  if (digit !== undefined && !table.has(name)) return run("0-9", event, digit);
  return wait(name, event);
}

function read() {
  const given = JSON.parse(one("#shortcuts").textContent);
  single = given.single;
  table = new Map();
  for (const { keys, ...entry } of given.commands)
    for (const key of keys) table.set(key, [...(table.get(key) ?? []), entry]);
}

export function showSheet() {
  const sheet = one("#keys");
  if (sheet.open) return;
  sheet.showModal();
  one("#keys-filter").focus();
}

/** The sheet shows only what is looked for. */
function narrow(event) {
  const wanted = event.target.value.trim().toLowerCase();
  for (const row of all("#keys dl > div"))
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
  for (const group of all("#keys section")) group.hidden = !one("dl > div:not([hidden])", group);
}

function start() {
  if (!one("#shortcuts")) return;
  read();
  document.addEventListener("keydown", (event) => {
    if (act(event)) event.preventDefault();
  });
  register({ "keys.show": showSheet });
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-opens=keys]")) showSheet();
  });
  one("#keys-filter")?.addEventListener("input", narrow);
  if (/^Mac|^iP/.test(navigator.platform))
    for (const key of all("kbd[data-control]")) key.textContent = key.textContent.replace(/^(Ctrl|Strg) /, "⌘");
}

start();
