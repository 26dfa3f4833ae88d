// The questions of a record: which one is current, choosing by number, suggestions, clearing.

import * as guidelines from "./guidelines.js";
import * as keys from "./keys.js";
import * as labels from "./labels.js";
import { all, answerForm, one } from "./page.js";
import * as ranking from "./ranking.js";
import * as spans from "./spans.js";

const PAUSE = 350; // ms in which a second digit still belongs to the first
const CHOICES = new Set(["label_selection", "multi_label_selection", "rating", "span"]);

let typed = "";
let timer = 0;

const questions = () => all(".q[data-type]");
const inputs = (question) => all("input[type=radio], input[type=checkbox]", question);
const shown = (input) => input.offsetParent !== null;

export const current = () => one(".q.now");

/** Make a question the current one; ``focus`` moves the keyboard there too. */
export function go(question, { focus = true } = {}) {
  if (!question) return;
  finishTyping();
  for (const other of questions()) other.classList.toggle("now", other === question);
  for (const link of all(".qnav a")) {
    const here = link.hash === `#${question.id}`;
    link.toggleAttribute("aria-current", here);
    if (!here) continue;
    link.setAttribute("aria-current", "true");
    showLink(link);
  }
  if (question.dataset.type === "ranking") ranking.pointAtNext(question);
  guidelines.follow(question);
  if (focus) {
    question.focus({ preventScroll: true });
    question.scrollIntoView({ block: "nearest" });
  }
}

/** Scroll the index sideways only: the page itself must stay where it is. */
function showLink(link) {
  const index = link.parentElement;
  const [here, all] = [link.getBoundingClientRect(), index.getBoundingClientRect()];
  if (here.left < all.left) index.scrollLeft -= all.left - here.left;
  else if (here.right > all.right) index.scrollLeft += here.right - all.right;
}

/** The question before or after the current one; there is no wrapping round. */
export function step(by) {
  const question = current();
  if (question.dataset.type === "ranking" && question.contains(document.activeElement)) {
    if (document.activeElement !== question && ranking.step(question, by)) return;
    if (document.activeElement === question && by > 0 && ranking.step(question, by)) return;
  }
  stepQuestion(by);
}

export function stepQuestion(by) {
  const list = questions();
  go(list[list.indexOf(current()) + by]);
}

/** From option to option, without choosing. */
export function stepOption(by) {
  const list = inputs(current()).filter(shown);
  const from = list.indexOf(document.activeElement);
  const next = from < 0 ? (by > 0 ? 0 : list.length - 1) : from + by;
  list[next]?.focus();
}

/** A digit was typed: choose, rate or rank; one more digit may follow where there are many. */
export function type(digit) {
  const question = current();
  if (question.dataset.type === "text") return;
  typed += digit;
  clearTimeout(timer);
  if (mayGoOn(question, typed)) {
    question.dataset.typed = `${typed}_`;
    timer = setTimeout(finishTyping, PAUSE);
  } else finishTyping();
}

function finishTyping() {
  clearTimeout(timer);
  const text = typed;
  typed = "";
  const question = current();
  if (!text || !question) return;
  delete question.dataset.typed;
  if (question.dataset.type === "ranking") rankTyped(question, Number(text));
  else if (question.dataset.type === "span" && text !== "0") spans.tag(question, Number(text) - 1);
  else pick(question, find(question, text));
}

/** Whatever comes after a number must find it chosen; Shift may belong to its next digit. */
function endTyping(event) {
  if (event.key !== "Shift" && keys.digitOf(event) === undefined) finishTyping();
}

function mayGoOn(question, text) {
  const list = inputs(question);
  if (question.dataset.type === "rating")
    return list.some((input) => input.value !== text && input.value.startsWith(text));
  const counters = { ranking: ranking.size, span: spans.count };
  const count = counters[question.dataset.type]?.(question) ?? list.length;
  return count > 10 && Number(text) > 0 && Number(text) * 10 <= count;
}

function find(question, text) {
  const list = inputs(question);
  if (question.dataset.type === "rating") return list.find((input) => input.value === text);
  if (question.dataset.type === "span" && text === "0") return list.at(-1);
  const place = text === "0" ? 10 : Number(text);
  return list[place - 1];
}

function rankTyped(question, number) {
  if (number < 1 || number > ranking.size(question)) return;
  ranking.rank(question, number);
  if (ranking.isComplete(question)) stepQuestion(1);
}

function pick(question, input) {
  if (!input) return;
  const single = input.type === "radio";
  input.checked = single || !input.checked;
  input.dispatchEvent(new Event("change", { bubbles: true }));
  if (single) stepQuestion(1);
}

/** Take the suggestion of a question; a person has looked at it now. */
export function accept(question) {
  const kind = question.dataset.type;
  if (!hasSuggestion(question)) return;
  if (kind === "ranking") ranking.accept(question);
  else if (kind === "text") write(question, one("[data-suggested]", question).textContent);
  else {
    const keep = kind === "span";
    for (const input of inputs(question)) {
      const suggested = input.closest(".opt").classList.contains("ai");
      input.checked = suggested || (keep && input.checked && input.value !== "[]");
    }
    question.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

export const acceptAll = () => questions().forEach(accept);
const hasSuggestion = (question) => one(".ai, [data-suggested]", question) !== null;

export function clear(question) {
  if (question.dataset.type === "ranking") return ranking.clear(question);
  if (question.dataset.type === "text") return write(question, "");
  for (const input of inputs(question)) input.checked = false;
  question.dispatchEvent(new Event("change", { bubbles: true }));
}

/** Answer the questions with what a form held, as it is sent. */
export function fill(data) {
  for (const question of questions()) {
    const values = data.getAll(question.dataset.name);
    if (question.dataset.type === "span") spans.fill(question, values);
    else if (question.dataset.type === "ranking") ranking.fill(question, values);
    else if (question.dataset.type === "text") write(question, values[0] ?? "");
    else for (const input of inputs(question)) input.checked = values.includes(input.value);
    question.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

function write(question, text) {
  const area = one("textarea", question);
  area.value = text;
  area.dispatchEvent(new Event("input", { bubbles: true }));
}

/** Into the current question's text, to write or to mark it; false when it has none. */
export function enterText() {
  if (current().dataset.type === "span") {
    spans.enter(current());
    return true;
  }
  const area = one("textarea", current());
  area?.focus();
  return Boolean(area);
}

/** Into the filter of the current question's labels; false when there is none. */
export function enterFilter() {
  const box = one("[data-filter]", current());
  box?.focus();
  return Boolean(box);
}

function isAnswered(question) {
  if (question.dataset.type === "ranking") return ranking.isAnswered(question);
  if (CHOICES.has(question.dataset.type)) return inputs(question).some((input) => input.checked);
  return one("textarea", question).value.trim() !== "";
}

/** After a change: the index of questions, and the marks in the text. */
function refresh(question) {
  const link = one(`.qnav a[href="#${question.id}"]`);
  link.classList.toggle("done", isAnswered(question) && !question.classList.contains("bad"));
  if (question.dataset.type === "span") spans.paint(question);
  if (question.dataset.type === "text") showChanges(question);
}

/** The answer is what counts. */
const unaided = () => {};

/** What the answer changes in the suggestion; the suggestion itself while there is none. */
function showChanges(question) {
  const suggested = one("[data-suggested]", question)?.textContent;
  if (suggested === undefined) return;
  const answer = one("textarea", question).value;
  const changed = answer.trim() !== "" && answer !== suggested;
  if (changed) import("./diff.js").then((diff) => showDiff(diff, question, suggested), unaided);
  else one("[data-diff]", question).textContent = suggested;
  for (const part of all("[data-when]", question))
    part.hidden = (part.dataset.when === "changed") !== changed;
}

function showDiff(diff, question, suggested) {
  const answer = one("textarea", question).value;
  if (answer.trim()) diff.show(one("[data-diff]", question), suggested, answer);
}

function agreeOnNothing(question, input) {
  if (question.dataset.type !== "span" || !input.checked) return;
  const nothing = input.value === "[]";
  for (const other of inputs(question))
    if (other !== input && (nothing || other.value === "[]")) other.checked = false;
}

/** Listen to a new form; the first question that is wrong, or the first, becomes current. */
export function start() {
  const form = answerForm();
  const list = questions();
  list.filter((q) => q.dataset.type === "ranking").forEach(ranking.start);
  for (const question of list.filter((q) => q.dataset.type === "span"))
    spans.start(question, (used) => go(used, { focus: false }));
  list.filter((q) => q.dataset.type === "text").forEach(showChanges);
  form.addEventListener("keydown", labels.onKey);
  guidelines.start(current);
  form.addEventListener("focusin", (event) => {
    const question = event.target.closest(".q[data-type]");
    if (question && question !== current()) go(question, { focus: false });
  });
  form.addEventListener("change", (event) => {
    const question = event.target.closest(".q[data-type]");
    if (!question) return;
    if (event.target.type === "checkbox") agreeOnNothing(question, event.target);
    refresh(question);
  });
  form.addEventListener("input", (event) => {
    if (event.target.matches("[data-filter]")) return labels.filter(event.target);
    const question = event.target.closest(".q[data-type]");
    if (question) refresh(question);
  });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-more], [data-take], [data-take-text], [data-clear], .qnav a");
    if (!button) return;
    if (button.matches("[data-more]")) labels.toggleMore(button);
    else if (button.matches("[data-clear]")) clear(button.closest(".q"));
    else if (button.matches("[data-take], [data-take-text]")) accept(button.closest(".q"));
    else {
      event.preventDefault();
      go(one(button.hash));
    }
  });
  one("#errors").addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#q"]');
    if (!link) return;
    event.preventDefault();
    go(one(link.hash));
  });
  go(list.find((q) => q.classList.contains("bad")) ?? list[0], { focus: false });
}

document.addEventListener("click", ({ target }) => {
  const figure = target.closest?.("[data-zoom]")?.closest("figure");
  if (figure) import("./images.js").then(({ open }) => open(figure), unaided);
});
for (const kind of ["keydown", "pointerdown", "click"]) document.addEventListener(kind, endTyping, true);
