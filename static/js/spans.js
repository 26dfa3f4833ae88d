// Marking stretches of a text, by mouse, finger or keyboard. Every span is a checkbox that holds
// it as JSON; its offsets count code points, as the server does.

import { paint as paintMarks, locator, plain } from "./highlight.js";
import * as offsets from "./offsets.js";
import { all, one, say } from "./page.js";
import { select, selected, unitsAt, wordAt } from "./selection.js";

const cursors = new WeakMap(); // question -> the checkbox of the mark that is being worked on
const edges = new WeakMap(); // question -> the edge of it that was moved last
const listening = new WeakSet(); // texts
const remembered = new WeakMap(); // text -> what was selected before a finger went elsewhere

const area = (question) =>
  question.dataset.marks ? one(`[data-field="${CSS.escape(question.dataset.marks)}"]`) : null;
const labels = (question) => all("[data-label]", question);
const sharing = (element) => all(".q[data-marks]").filter((question) => area(question) === element);

export const count = (question) => labels(question).length;

/** The question's spans with their stretch in UTF-16 units. */
function spans(question) {
  const element = area(question);
  return all(".opt.span", question).map((box) => {
    const input = one("input", box);
    const span = JSON.parse(input.value);
    const raw = box.classList.contains("ai") && !input.checked;
    return { ...span, ...(element && offsets.asUnits(plain(element), span)), box, input, raw };
  });
}

const visible = (question) => spans(question).filter((span) => span.input.checked || span.raw);
const cursor = (question) => spans(question).find((span) => span.input === cursors.get(question));

/** Show what is chosen and what is suggested, of all questions that mark this text. */
export function paint(question) {
  const element = area(question);
  if (!element) return;
  const kept = document.activeElement === element ? selected(element) : null;
  const asMark = (cursor) => ({ start, end, raw, box, input }) =>
    ({ start, end, raw, hue: box.dataset.h, name: nameOf(box), on: input === cursor });
  paintMarks(element, sharing(element).flatMap((each) => visible(each).map(asMark(cursors.get(each)))));
  if (kept) select(element, kept);
}

const nameOf = (box) => one("b", box).textContent;

function put(question, input) {
  if (input) cursors.set(question, input);
  else cursors.delete(question);
  edges.delete(question);
  showEditor(question);
}

/** The editor below the list works on the mark at the cursor. */
function showEditor(question) {
  const box = one("[data-editor]", question);
  const span = cursor(question);
  if (!box) return;
  box.hidden = !span?.input.checked;
  if (box.hidden) return;
  one("[data-text]", box).textContent = one("[data-text]", span.box).textContent;
  if (matchMedia("(min-width: 60rem)").matches) box.scrollIntoView({ block: "nearest" });
}

function told(question, span) {
  const what = span.input.checked ? nameOf(span.box) : one("[data-editor]", question).dataset.removed;
  say(`${one("[data-text]", span.box).textContent}: ${what}`);
}

/** Mark the selection with a label; without overlaps what was there gives way. */
export function tag(question, place, { tapped = false } = {}) {
  const element = area(question);
  const label = labels(question)[place];
  const stretch = element && label && (selected(element) ?? (tapped ? remembered.get(element) : null));
  if (!stretch) return;
  const old = cursor(question);
  if (old && old.start === stretch.start && old.end === stretch.end) old.input.checked = false;
  const input = mark(question, stretch, label);
  arrange(question);
  changed(question, input);
  select(element, stretch);
  told(question, cursor(question));
}

function mark(question, stretch, label, others = spans(question)) {
  const text = plain(area(question));
  let known = null;
  for (const other of others) {
    const same = other.start === stretch.start && other.end === stretch.end;
    if (same && other.label === label.dataset.label) known = other;
    else if (!("overlapping" in question.dataset) && offsets.overlap(other, stretch))
      other.input.checked = false;
  }
  const input = known?.input ?? add(question, label);
  write(input, text, stretch, label.dataset.label);
  input.checked = true;
  return input;
}

/** Spans as a form sends them: JSON, or `[]` for none. */
export function fill(question, values) {
  const text = area(question) ? plain(area(question)) : "";
  for (const input of all("input[type=checkbox]", question)) input.checked = input.value === "[]" && values.includes("[]");
  for (const given of values.filter((value) => value !== "[]").map((value) => JSON.parse(value))) {
    const span = { ...given, ...offsets.asUnits(text, given) };
    const same = (other) => ["start", "end", "label"].every((name) => other[name] === span[name]);
    const label = labels(question).find((button) => button.dataset.label === span.label);
    const others = spans(question);
    const known = others.find(same)?.input;
    if (known) known.checked = true;
    else if (label && text) mark(question, span, label, others);
  }
  arrange(question);
}

function add(question, label) {
  const box = document.importNode(one("template", question).content.firstElementChild, true);
  box.dataset.h = label.dataset.h;
  one("b", box).textContent = one("[data-name]", label).textContent;
  one(".nothing", question).before(box);
  return one("input", box);
}

function write(input, text, stretch, label) {
  const { start, end } = offsets.asPoints(text, stretch);
  input.value = JSON.stringify({ end, label, start });
  one("[data-text]", input.closest(".opt")).textContent = text.slice(stretch.start, stretch.end);
}

/** The list is in the order of the text. */
function arrange(question) {
  const focused = document.activeElement;
  let next = one(".opt.span", question);
  for (const { box } of spans(question).sort((a, b) => a.start - b.start))
    if (box === next) next = box.nextElementSibling;
    else next.before(box);
  if (document.activeElement !== focused) focused.focus();
}

function changed(question, input) {
  put(question, input);
  const from = input ?? question;
  from.dispatchEvent(new Event("change", { bubbles: true }));
}

/** Move an edge of the mark at the cursor; it stops at its neighbours where overlaps are not wanted. */
export function moveEdge(question, edge, by, word) {
  const span = cursor(question);
  const element = area(question);
  if (!span?.input.checked || !element) return;
  const text = plain(element);
  const at = offsets.step(text, span[edge], by, { word, edge });
  const stretch = { start: span.start, end: span.end, [edge]: at };
  const others = spans(question).filter((other) => other.input.checked && other.input !== span.input);
  const twin = others.some((o) => o.start === stretch.start && o.end === stretch.end && o.label === span.label);
  const meets = !("overlapping" in question.dataset) && others.some((o) => offsets.overlap(o, stretch));
  if (stretch.start >= stretch.end || twin || meets) return;
  write(span.input, text, stretch, span.label);
  arrange(question);
  changed(question, span.input);
  edges.set(question, edge);
  if (document.activeElement === element) select(element, stretch);
  say(text.slice(stretch.start, stretch.end));
}

function stepWord(element, question, by, extend) {
  const text = plain(element);
  const list = offsets.words(text);
  const now = selected(element);
  if (extend && now) {
    const end = offsets.step(text, now.end, by, { word: true, edge: "end" });
    if (end > now.start) select(element, { start: now.start, end });
    return;
  }
  const next = by > 0
    ? list.find((word) => !now || word.start >= now.end)
    : list.filter((word) => now && word.end <= now.start).at(-1);
  leaveMark(question);
  if (next) select(element, next);
}

function stepLetter(element, by) {
  const now = selected(element);
  const end = now && offsets.step(plain(element), now.end, by, { word: false });
  if (now && end > now.start) getSelection().setBaseAndExtent(...locator(element)(now.start, false), ...locator(element)(end, true));
}

/** The word a line further or back. */
function stepLine(element, question, by) {
  const box = getSelection().rangeCount && getSelection().getRangeAt(0).getBoundingClientRect();
  leaveMark(question);
  if (!selected(element) || !box) return stepWord(element, question, by, false);
  const height = parseFloat(getComputedStyle(element).lineHeight) || box.height;
  const word = wordAt(element, box.left + 2, (by > 0 ? box.bottom : box.top) + (by * height) / 2);
  if (word) select(element, word);
}

function stepEnd(element, question, by) {
  const word = offsets.words(plain(element)).at(by > 0 ? -1 : 0);
  leaveMark(question);
  if (word) select(element, word);
}

function stepMark(element, question, by) {
  const now = cursor(question) ?? selected(element);
  const list = visible(question).sort((a, b) => a.start - b.start || a.end - b.end);
  const place = list.findIndex((span) => span.input === cursors.get(question));
  const next = place >= 0
    ? list[place + by]
    : by > 0 ? list.find((span) => !now || span.start > now.start) : list.filter((span) => now && span.start < now.start).at(-1);
  if (next) goTo(question, next);
}

/** To a mark: it is selected in the text, and the editor works on it. */
function goTo(question, span) {
  put(question, span.input);
  paint(question);
  select(area(question), span);
}

function leaveMark(question) {
  if (!cursors.has(question)) return;
  put(question, null);
  paint(question);
}

function remove(element, question) {
  const now = selected(element);
  const at = cursor(question);
  const gone = at ? [at] : spans(question).filter((span) => now && span.input.checked && offsets.overlap(span, now));
  for (const span of gone) {
    span.input.checked = false;
    told(question, span);
  }
  changed(question, null);
  if (now) select(element, now);
}

/** The next stretch of the same text, or every one of them marked like the mark at the cursor. */
function repeat(element, question, every) {
  const text = plain(element);
  const at = cursor(question);
  const now = at ?? selected(element);
  if (!now) return;
  if (!every || !at) return leaveMark(question), select(element, offsets.nextSame(text, now));
  const label = labels(question).find((button) => button.dataset.label === at.label);
  const others = spans(question);
  const free = (stretch) => !others.some((other) => other.input.checked && offsets.overlap(other, stretch));
  for (const stretch of offsets.allSame(text, now)) if (free(stretch)) mark(question, stretch, label, others);
  arrange(question);
  changed(question, at.input);
  select(element, now);
}

/** Into the text, with its first word selected. */
export function enter(question) {
  const element = area(question);
  if (!element) return;
  element.focus({ preventScroll: true });
  if (!selected(element)) stepWord(element, question, 1, false);
}

function onArrow(event, element, question, by) {
  const onMark = cursor(question)?.input.checked;
  if (onMark && event.altKey && event.shiftKey) moveEdge(question, edges.get(question) ?? "end", by, false);
  else if (onMark && event.altKey) moveEdge(question, "start", by, true);
  else if (onMark && event.shiftKey) moveEdge(question, "end", by, true);
  else if (event.altKey && event.shiftKey) stepLetter(element, by);
  else if (event.altKey) return false;
  else stepWord(element, question, by, event.shiftKey);
  return true;
}

const KEYS = {
  ".": (element, question) => stepMark(element, question, 1),
  ",": (element, question) => stepMark(element, question, -1),
  Delete: remove,
  Home: (element, question) => stepEnd(element, question, -1),
  End: (element, question) => stepEnd(element, question, 1),
  Escape: (element, question) => { leaveMark(question); question.focus(); },
};

/** What keys that a person may choose do in a text that is marked. */
export const COMMANDS = {
  "span.labels": (element, question) => labels(question)[0]?.focus(),
  "span.same": (element, question) => repeat(element, question, false),
  "span.same-all": (element, question) => repeat(element, question, true),
};

/** A fixed key pressed in a text that is marked; true when it meant something there. */
export function press(event, question) {
  const element = event.target;
  const forth = getComputedStyle(element).direction === "rtl" ? -1 : 1;
  const by = { ArrowRight: forth, ArrowLeft: -forth }[event.key];
  if (by) return onArrow(event, element, question, by);
  if (event.altKey) return false;
  const line = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (line && !event.shiftKey) stepLine(element, question, line);
  else if (Object.hasOwn(KEYS, event.key)) KEYS[event.key](element, question);
  else return false;
  return true;
}

/** The question that a text is marked for: the current one, where several mark it. */
export function questionOf(element) {
  const list = element instanceof Element && element.matches("[data-field]") ? sharing(element) : [];
  return list.find((question) => question.classList.contains("now")) ?? list[0] ?? null;
}

/** A click into a mark takes it up; a finger on a word selects it. */
function onPointer(event, element) {
  const question = questionOf(element);
  if (!question || event.button > 0) return;
  const at = unitsAt(element, event.clientX, event.clientY);
  if (getSelection().isCollapsed && at !== null) {
    const inside = (span) => span.start <= at && at <= span.end;
    const here = visible(question).filter(inside).sort((a, b) => a.end - a.start - (b.end - b.start))[0];
    if (here) return goTo(question, here);
    leaveMark(question);
    const word = event.pointerType === "touch" && offsets.words(plain(element)).find(inside);
    if (word) select(element, word);
  } else if (selected(element)) leaveMark(question);
}

function onEditor(question, button) {
  const { edge, by, repeat: every } = button.dataset;
  const element = area(question);
  if (edge) moveEdge(question, edge, Number(by), false);
  else if (every) repeat(element, question, true);
  else remove(element, question);
}

export function start(question, onUse) {
  const element = area(question);
  if (!element) return;
  plain(element);
  if (!listening.has(element)) listen(element, onUse);
  element.setAttribute("aria-label", sharing(element).map((each) => each.dataset.title).join(", "));
  question.addEventListener("mousedown", (event) => {
    if (event.target.closest("[data-label], [data-editor]")) event.preventDefault(); // or the selection is lost
  });
  question.addEventListener("click", (event) => {
    const label = event.target.closest("[data-label]");
    const tool = event.target.closest("[data-editor] button");
    if (label) tag(question, labels(question).indexOf(label), { tapped: true });
    else if (tool) onEditor(question, tool);
  });
  question.addEventListener("focusin", (event) => {
    const input = event.target.closest(".opt.span input");
    if (!input || input === cursors.get(question)) return;
    put(question, input);
    paint(question);
  });
  paint(question);
}

function listen(element, onUse) {
  listening.add(element); // a copy of it has its attributes, and nobody who listens
  element.tabIndex = 0;
  element.setAttribute("role", "group");
  const use = () => onUse(questionOf(element));
  element.addEventListener("focus", use);
  element.addEventListener("pointerup", (event) => {
    if (selected(element)) use();
    setTimeout(() => onPointer(event, element)); // the selection is final after the event
  });
}

document.addEventListener("selectionchange", () => {
  for (const element of all("[data-field][role=group]")) {
    const now = selected(element);
    const inside = element.contains(getSelection().anchorNode);
    if (now) remembered.set(element, now);
    else if (inside) remembered.delete(element);
    for (const question of sharing(element)) question.toggleAttribute("data-selecting", Boolean(now));
  }
});
