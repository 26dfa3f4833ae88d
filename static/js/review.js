// The review page by keyboard, the next record ready when one is decided.
// Without this module the page is a plain form, and works.

import * as keys from "./keys.js";
import { all, one, post } from "./page.js";

const PAUSE = 300; // ms until the next record is asked for
const EVERY = 120_000; // ms; a hold lasts several times as long
let ahead = null; // a promise of the next page's document, or of nothing
let sending = false;
let untouched = ""; // the decision as the page came

const questions = () => all("#decision .q");
const current = () => one("#decision .q.now");

/** Mark a question as the one that the keys are for, and bring it into view. */
function go(question, { focus = true } = {}) {
  if (!question) return;
  for (const other of questions()) other.classList.toggle("now", other === question);
  for (const link of all("#decision .qnav a")) {
    if (link.hash === `#${question.id}`) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  if (!focus) return; // a page that moves under the pointer takes the click away
  question.focus({ preventScroll: true });
  question.scrollIntoView({ block: "nearest" });
}

function step(by) {
  const list = questions();
  go(list[Math.min(Math.max(list.indexOf(current()) + by, 0), list.length - 1)]);
}

function choose(input) {
  if (!input) return false;
  input.checked = true;
  input.dispatchEvent(new Event("change", { bubbles: true }));
  return true;
}

/** The choice and on to the next question that is not decided yet. */
function settle(input) {
  if (!choose(input)) return false;
  const list = questions();
  const later = list.slice(list.indexOf(current()) + 1);
  const open = later.find((question) => !one("input[name^='d.']:checked", question));
  if (open) go(open);
  return true;
}

const choices = () => all("input[name^='d.']", current());

function edit() {
  if (!choose(choices().find((input) => input.value === "edit"))) return false;
  one(".edit :is(textarea, input, select)", current())?.focus();
  return true;
}

function sendBack() {
  const note = one("#note");
  if (!note.value.trim()) return note.focus();
  return one("#decision [value=return]")?.click();
}

function openGap() {
  const gap = one("#gap");
  gap.open = !gap.open;
  if (gap.open) one("textarea", gap).focus();
}

function acceptMajority() {
  const agreed = all("input[data-agreed]", current());
  return agreed.length ? settle(agreed[0]) : false;
}

/** A comment or a gap is sent beside the decision, which stays as far as it is made. */
async function sendAside(event) {
  event.preventDefault();
  const form = event.target;
  const told = one("[role=status]", form);
  told.textContent = "";
  const answer = await post(form.action, new FormData(form)).catch(() => undefined);
  told.textContent = answer?.ok ? told.dataset.said : told.dataset.failed;
  if (!answer?.ok) return;
  form.reset();
  const list = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#said-list");
  if (list) one("#said-list").replaceWith(document.adoptNode(list));
}

/** What follows once this record is settled. Asking holds both, and holds them on. */
async function fetchAhead(url) {
  const answer = await fetch(url, { credentials: "same-origin" }).catch(() => null);
  return answer?.status === 200 ? parse(answer) : null;
}

const parse = async (answer) => new DOMParser().parseFromString(await answer.text(), "text/html");

/** Show another page's record in the place of this one. */
function replace(page) {
  document.title = page.title;
  for (const selector of [".bar", "#main"])
    one(selector).replaceWith(document.adoptNode(one(selector, page)));
  begin();
}

/** Decide, or send back: then the next record, or this one with what is wrong. */
async function send(form, button) {
  if (sending) return;
  sending = true;
  const data = new FormData(form, button);
  const answer = await post(form.action, data).catch(() => null);
  sending = false;
  if (answer?.status === 204) return follow(answer.headers.get("HX-Redirect"));
  if ([409, 422].includes(answer?.status)) return replace(await parse(answer));
  one("#unsent").hidden = false;
  return one("#unsent").focus();
}

async function follow(url) {
  const page = await ahead;
  if (!page || !one("#decision", page)) {
    untouched = content();
    return location.assign(url);
  }
  replace(page);
  return history.pushState(null, "", one("#main").dataset.url);
}

document.addEventListener("submit", (event) => {
  if (event.target.matches("form[data-aside]")) sendAside(event);
  if (event.target.id !== "decision") return;
  event.preventDefault();
  send(event.target, event.submitter);
});
addEventListener("popstate", () => location.reload());
addEventListener("beforeunload", (event) => {
  if (content() !== untouched) event.preventDefault();
});
document.addEventListener("focusin", (event) => {
  const question = event.target.closest("#decision .q");
  if (question) go(question, { focus: false });
});

keys.register({
  "review.majority": acceptMajority,
  "review.choice": (event, digit) => settle(choices()[Number(digit) - 1]),
  "review.edit": edit,
  "review.ambiguous": () => settle(choices().find((input) => input.value === "ambiguous")),
  "review.why": () => one("#note").focus(),
  "review.comment": () => one("#comment").focus(),
  "review.return": sendBack,
  "review.gap": openGap,
  "review.accept": () => one("#decision [value=accept]").click(),
  "review.accept-anywhere": () => one("#decision [value=accept]").click(),
  "review.leave": (event) => (keys.isText(event.target) ? current().focus() : false),
  "review.next-question": () => step(1),
  "review.previous-question": () => step(-1),
  "review.move": (event) => {
    if (event.target.matches?.(".pane, .qs, input") || keys.isControl(event.target)) return false;
    return step(event.key === "ArrowUp" ? -1 : 1);
  },
  "review.next": () => one("[data-go=next]")?.click(),
});

/** The decision as far as it is made. */
function content() {
  const form = one("#decision");
  return form ? new URLSearchParams(new FormData(form)).toString() : "";
}

/** Bring a record to life. */
function begin() {
  const url = one("#main").dataset.ahead;
  ahead = url ? new Promise((done) => { setTimeout(() => done(fetchAhead(url)), PAUSE); }) : null;
  const first = one("#decision .q.bad") ?? questions().find((question) => !one("input[name^='d.']:checked", question));
  go(first ?? questions()[0], { focus: false });
  const errors = one("#errors");
  // Where the questions scroll by themselves, the first open one comes into view; what is wrong goes before.
  if (first && !errors && matchMedia("(min-width: 60rem)").matches) first.scrollIntoView({ block: "nearest" });
  if (errors) errors.focus();
  else one("h1").focus({ preventScroll: true });
  untouched = errors ? "" : content(); // what was refused is not decided yet
}

/** While the page is open nobody else is given its record. */
function renew() {
  const url = one("#main").dataset.ahead;
  if (url && !document.hidden) ahead = fetchAhead(url);
}

setInterval(renew, EVERY);
document.addEventListener("visibilitychange", renew);
begin();
