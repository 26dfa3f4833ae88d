// The explore page. Without this module it is plain forms, and works.

import * as answers from "./answers.js";
import * as keys from "./keys.js";
import * as list from "./explore_list.js";
import * as bulk from "./explore_bulk.js";
import { watch } from "./explore_job.js";
import { one, say } from "./page.js";

const PAUSE = 300; // ms after the last letter or click
let timer = 0;
let asked = 0;

/** The search as the form has it, without what is empty. */
function address() {
  const form = one("#search");
  const given = [...new FormData(form)].filter(([name, text]) => text && name !== "cosine");
  const slider = one("#cosine");
  if (slider?.dataset.moved || new URLSearchParams(location.search).has("cosine"))
    if (slider) given.push(["cosine", slider.value]);
  return `${form.getAttribute("action")}?${new URLSearchParams(given)}`;
}

/** Show what the address finds; a field that is being typed into keeps its caret. */
async function show(url, { push = true } = {}) {
  const mine = ++asked;
  one("#explore").setAttribute("aria-busy", "true");
  const answer = await fetch(url, { headers: { "HX-Request": "true" }, credentials: "same-origin" }).catch(() => null);
  if (mine !== asked) return;
  if (one("#errors") && (!answer || answer.status >= 500)) return stay(); // what is selected and answered is kept
  if (!answer?.ok) return location.assign(url); // the browser says what is wrong
  const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#explore");
  if (mine !== asked) return;
  if (!found) return location.assign(url);
  replace(found);
  if (push) history.pushState(null, "", found.dataset.url);
  say(found.dataset.said);
}

function stay() {
  one("#explore").setAttribute("aria-busy", "false");
  bulk.fail("failed");
}

function replace(found) {
  const focused = document.activeElement;
  const again = focused.id ? `#${CSS.escape(focused.id)}` : focused.name ? `[name="${CSS.escape(focused.name)}"][value="${CSS.escape(focused.value)}"]` : "";
  const [caret, typed] = focused.id === "eq" ? [focused.selectionStart, focused.value] : [null, null];
  const opened = document.querySelector(".facets:target") !== null;
  for (const id of ["bar", "facets", "results"])
    one(`#${id}`).replaceWith(document.adoptNode(one(`#${id}`, found)));
  one("#explore").setAttribute("aria-busy", "false");
  if (opened) location.hash = "facets";
  const field = again && one(again);
  if (field) field.focus({ preventScroll: true });
  if (caret !== null && field) {
    field.value = typed;
    field.setSelectionRange(caret, caret);
  }
  begin();
}

const later = (run) => {
  clearTimeout(timer);
  timer = setTimeout(run, PAUSE);
};

function onChange(event) {
  const input = event.target;
  if (input.form?.id !== "search" || input.id === "eq") return;
  if (input.id === "cosine") input.dataset.moved = "1";
  later(() => show(address()));
}

function onInput(event) {
  if (event.target.id === "eq") later(() => show(address()));
  if (event.target.id === "cosine") one("output[for=cosine]").textContent = Number(event.target.value).toFixed(2);
}

function onSubmit(event) {
  if (event.target.id !== "search") return;
  event.preventDefault();
  clearTimeout(timer);
  show(address());
}

/** Bring new results to life. */
function begin() {
  list.start();
  bulk.start();
  watch();
}

const COMMANDS = {
  "explore.search": () => one("#eq").focus(),
  "explore.leave": (event) => {
    if (event.target.id === "eq") one("#results").focus();
    else if (event.target.closest?.(".q")) one("#results").focus();
    else return false;
    return undefined;
  },
  "explore.next": () => list.step(1),
  "explore.previous": () => list.step(-1),
  "explore.select": (event) => (event.target.matches?.("input") ? false : list.toggle()),
  "explore.extend-next": () => list.step(1, { extend: true }),
  "explore.extend-previous": () => list.step(-1, { extend: true }),
  "explore.page": () => list.selectPage(),
  "explore.all": () => list.selectAll(),
  "explore.open": () => list.press("[data-open]"),
  "explore.similar": () => list.follow("[data-similar]", show),
  "explore.least": () => list.follow("[data-least]", show),
  "explore.digit": (_event, digit) => (answers.current() ? answers.type(digit) : false),
  "explore.question": (event) => answers.stepQuestion(event.key === "[" ? -1 : 1),
  "explore.own": () => bulk.toggleOwn(answers.current()),
  "explore.clear": () => answers.clear(answers.current()),
  "explore.submit": () => bulk.press("submit"),
  "explore.submit-anywhere": () => bulk.press("submit"),
  "explore.draft": () => bulk.press("draft"),
  "explore.discard": () => bulk.press("discard"),
  "explore.undo": () => (one("[data-undo]") ? one("[data-undo]").click() : false),
};

document.addEventListener("change", onChange);
document.addEventListener("input", onInput);
document.addEventListener("submit", onSubmit);
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-similar], .like a.x, .facets a.btn:not([href^='#'])");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(link.href);
});
addEventListener("popstate", () => { if (!location.hash || location.search) show(location.href.split("#")[0], { push: false }); });
keys.register(COMMANDS);
if (one(".q[data-type]")) answers.start();
begin();
