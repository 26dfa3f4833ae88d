// Marking stretches of a text, by mouse, finger or keyboard. Every span is a checkbox that holds
// it as JSON; offsets count code points, as the server does, while the browser counts UTF-16 units.

import { all, one } from "./page.js";

const texts = new WeakMap(); // the plain text of an element, without the names in its marks
const words = new Intl.Segmenter(undefined, { granularity: "word" });

const area = (question) => one(`[data-field="${CSS.escape(question.dataset.marks)}"]`);
const labels = (question) => all("[data-label]", question);
const toPoints = (text, units) => [...text.slice(0, units)].length;
const toUnits = (text, points) => [...text].slice(0, points).join("").length;
const overlap = (a, b) => a.start < b.end && b.start < a.end;

export const count = (question) => labels(question).length;

function plain(element) {
  if (!texts.has(element)) {
    const copy = element.cloneNode(true);
    all("b", copy).forEach((name) => name.remove());
    texts.set(element, copy.textContent);
  }
  return texts.get(element);
}

function spans(question) {
  return all(".opt.span", question).map((box) => {
    const input = one("input", box);
    return { ...JSON.parse(input.value), box, input, raw: box.classList.contains("ai") };
  });
}

/** Show the chosen spans as marks, and the suggested ones as raw marks. */
export function paint(question) {
  const element = area(question);
  if (!element) return;
  const letters = [...plain(element)];
  const marks = spans(question).filter((span) => span.input.checked || span.raw);
  const borders = new Set([0, letters.length, ...marks.flatMap(({ start, end }) => [start, end])]);
  const ordered = [...borders].sort((a, b) => a - b);
  element.replaceChildren(...ordered.slice(1).map((end, place) => {
    const start = ordered[place];
    const over = marks.filter((mark) => mark.start <= start && mark.end >= end);
    const mark = over.sort((a, b) =>
      b.input.checked - a.input.checked || a.end - a.start - (b.end - b.start))[0];
    const text = letters.slice(start, end).join("");
    return mark ? show(text, mark, mark.end === end) : document.createTextNode(text);
  }));
}

function show(text, mark, closes) {
  const element = document.createElement("mark");
  element.className = mark.input.checked ? "sp" : "sp ai";
  element.dataset.h = mark.box.dataset.h;
  element.append(text);
  if (closes) {
    const name = document.createElement("b");
    name.textContent = one("b", mark.box).textContent;
    element.append(name);
  }
  return element;
}

/** How many UTF-16 units of the plain text come before a place in the document. */
function unitsBefore(element, node, offset) {
  const range = document.createRange();
  range.setStart(element, 0);
  range.setEnd(node, offset);
  const part = range.cloneContents();
  all("b", part).forEach((name) => name.remove());
  return part.textContent.length;
}

/** The selected stretch in UTF-16 units, without white space at its ends; null for none. */
function selected(element) {
  const selection = getSelection();
  if (!selection.rangeCount || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  if (!element.contains(range.startContainer) || !element.contains(range.endContainer)) return null;
  const text = plain(element);
  let start = unitsBefore(element, range.startContainer, range.startOffset);
  let end = unitsBefore(element, range.endContainer, range.endOffset);
  while (start < end && /\s/.test(text[start])) start += 1;
  while (start < end && /\s/.test(text[end - 1])) end -= 1;
  return start < end ? { start, end } : null;
}

/** Select a stretch, so that it is seen and the next digit marks it. */
function select(element, { start, end }) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT, (node) =>
    node.parentElement.tagName === "B" ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT);
  let passed = 0;
  let from = null;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!from && start < passed + node.length) from = [node, start - passed];
    if (end <= passed + node.length) {
      getSelection().setBaseAndExtent(...from, node, end - passed);
      node.parentElement.scrollIntoView({ block: "nearest" });
      return;
    }
    passed += node.length;
  }
}

/** Mark the selection with a label; without overlaps what was there gives way. */
export function tag(question, place) {
  const element = area(question);
  const label = labels(question)[place];
  const stretch = element && label && selected(element);
  if (!stretch) return;
  const text = plain(element);
  const span = {
    end: toPoints(text, stretch.end),
    label: label.dataset.label,
    start: toPoints(text, stretch.start),
  };
  let known = null;
  for (const other of spans(question)) {
    const same = other.start === span.start && other.end === span.end && other.label === span.label;
    if (same) known = other;
    else if (!("overlapping" in question.dataset) && overlap(other, span)) other.input.checked = false;
  }
  const input = known?.input ?? add(question, span, label, text.slice(stretch.start, stretch.end));
  input.checked = true;
  input.dispatchEvent(new Event("change", { bubbles: true }));
  select(element, stretch);
}

function add(question, span, label, text) {
  const box = document.importNode(one("template", question).content.firstElementChild, true);
  const input = one("input", box);
  box.dataset.h = label.dataset.h;
  input.value = JSON.stringify(span);
  one("[data-text]", box).textContent = text;
  one("b", box).textContent = label.textContent.trim().replace(/^\d+\s*/, "");
  const after = spans(question).find((other) => other.start > span.start)?.box;
  (after ?? one(".nothing", question)).before(box);
  return input;
}

/** Into the text, with its first word selected. */
export function enter(question) {
  const element = area(question);
  if (!element) return;
  element.focus({ preventScroll: true });
  if (!selected(element)) stepWord(element, 1, false);
}

function stepWord(element, by, extend) {
  const list = [...words.segment(plain(element))].filter((word) => word.isWordLike);
  const now = selected(element);
  const found = now && { start: now.start, end: now.end };
  const next = by > 0
    ? list.find((word) => !found || word.index >= found.end)
    : list.filter((word) => found && word.index + word.segment.length <= (extend ? found.end - 1 : found.start)).at(-1);
  if (!next) return;
  const end = next.index + next.segment.length;
  if (!extend || !found) select(element, { start: next.index, end });
  else if (end > found.start) select(element, { start: found.start, end });
}

function stepLetter(element, by) {
  const now = selected(element);
  if (now && now.end + by > now.start && now.end + by <= plain(element).length)
    select(element, { start: now.start, end: now.end + by });
}

function stepMark(element, question, by) {
  const text = plain(element);
  const now = selected(element);
  const list = spans(question)
    .filter((span) => span.input.checked || span.raw)
    .map(({ start, end }) => ({ start: toUnits(text, start), end: toUnits(text, end) }))
    .sort((a, b) => a.start - b.start);
  const next = by > 0
    ? list.find((span) => !now || span.start > now.start)
    : list.filter((span) => now && span.start < now.start).at(-1);
  if (next) select(element, next);
}

function remove(element, question) {
  const now = selected(element);
  if (!now) return;
  const text = plain(element);
  const stretch = { start: toPoints(text, now.start), end: toPoints(text, now.end) };
  for (const span of spans(question)) if (overlap(span, stretch)) span.input.checked = false;
  question.dispatchEvent(new Event("change", { bubbles: true }));
  select(element, now);
}

/** A key pressed in a text that is marked; true when it meant something there. */
export function press(event, question) {
  const element = event.target;
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (by && event.altKey && event.shiftKey) stepLetter(element, by);
  else if (by && !event.altKey) stepWord(element, by, event.shiftKey);
  else if (event.key === ".") stepMark(element, question, 1);
  else if (event.key === ",") stepMark(element, question, -1);
  else if (event.key === "Delete") remove(element, question);
  else if (event.key === "Escape") question.focus();
  else return false;
  return true;
}

/** The question whose text an element is. */
export function questionOf(element) {
  return all(".q[data-marks]").find((question) => area(question) === element) ?? null;
}

export function start(question, onUse) {
  const element = area(question);
  if (!element) return;
  element.tabIndex = 0;
  element.setAttribute("role", "group");
  element.setAttribute("aria-label", one("legend", question).textContent.trim());
  element.addEventListener("focus", () => onUse(question));
  element.addEventListener("mouseup", () => selected(element) && onUse(question));
  question.addEventListener("mousedown", (event) => {
    if (event.target.closest("[data-label]")) event.preventDefault(); // or the selection is lost
  });
  question.addEventListener("click", (event) => {
    const label = event.target.closest("[data-label]");
    if (label) tag(question, labels(question).indexOf(label));
  });
}
