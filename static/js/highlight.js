// Marks over a text. Where the browser has the Custom Highlight API the text stays one text, with the
// names of the marks as empty elements in it; elsewhere the text is cut into <mark> elements.

import { all } from "./page.js";

const canHighlight = typeof Highlight === "function" && CSS.highlights !== undefined;
const texts = new WeakMap(); // the plain text of an element, without the names in its marks
const shown = new Map(); // element -> [highlight's name, range] pairs

/** The element's text as the record has it. */
export function plain(element) {
  if (!texts.has(element)) {
    const copy = element.cloneNode(true);
    all("b", copy).forEach((name) => name.remove());
    texts.set(element, copy.textContent);
  }
  return texts.get(element);
}

/** ``marks``: {start, end} in UTF-16 units, hue, name, raw (a suggestion), on (at the cursor). */
export function paint(element, marks) {
  const text = plain(element);
  const kept = marks.filter((mark) => mark.start < mark.end && mark.end <= text.length);
  if (canHighlight) paintRanges(element, text, kept);
  else element.replaceChildren(...cut(text, kept));
}

function paintRanges(element, text, marks) {
  const closing = [...marks].sort((a, b) => a.end - b.end || b.start - a.start);
  const nodes = [];
  let passed = 0;
  for (const mark of closing) {
    if (mark.end > passed) nodes.push(document.createTextNode(text.slice(passed, mark.end)));
    passed = Math.max(passed, mark.end);
    nodes.push(badge(mark));
  }
  nodes.push(document.createTextNode(text.slice(passed)));
  element.replaceChildren(...nodes);
  element.classList.toggle("marked", marks.length > 0);
  const place = locator(element);
  const long = [...marks].sort((a, b) => b.end - b.start - (a.end - a.start));
  shown.set(element, long.flatMap((mark) => {
    const range = new Range();
    range.setStart(...place(mark.start, false));
    range.setEnd(...place(mark.end, true));
    return [[`${mark.raw ? "ai" : "h"}${mark.hue}`, range], ...(mark.on ? [["at", range]] : [])];
  }));
  register();
}

/** All ranges of the page by name; a later highlight lies over an earlier one of the same rank. */
function register() {
  const named = new Map();
  for (const [element, pairs] of shown) {
    if (!element.isConnected) shown.delete(element);
    else for (const [name, range] of pairs) named.set(name, [...(named.get(name) ?? []), range]);
  }
  for (const name of [...CSS.highlights.keys()]) if (/^(h|ai)\d+$|^at$/.test(name)) CSS.highlights.delete(name);
  for (const [name, ranges] of named) {
    const highlight = new Highlight(...ranges);
    highlight.priority = name === "at" ? 2 : name.startsWith("h") ? 1 : 0;
    CSS.highlights.set(name, highlight);
  }
}

function badge(mark) {
  const name = document.createElement("b");
  name.className = mark.raw ? "sp-name ai" : "sp-name";
  name.dataset.h = mark.hue;
  name.dataset.text = mark.name;
  return name;
}

function cut(text, marks) {
  const borders = new Set([0, text.length, ...marks.flatMap(({ start, end }) => [start, end])]);
  const ordered = [...borders].sort((a, b) => a - b);
  return ordered.slice(1).map((end, place) => {
    const start = ordered[place];
    const over = marks.filter((mark) => mark.start <= start && mark.end >= end);
    const mark = over.sort((a, b) => a.raw - b.raw || a.end - a.start - (b.end - b.start))[0];
    const part = text.slice(start, end);
    return mark ? segment(part, mark, mark.end === end) : document.createTextNode(part);
  });
}

function segment(text, mark, closes) {
  const element = document.createElement("mark");
  element.className = `sp${mark.raw ? " ai" : ""}${mark.on ? " on" : ""}`;
  element.dataset.h = mark.hue;
  element.append(text);
  if (closes) {
    const name = document.createElement("b");
    name.textContent = mark.name;
    element.append(name);
  }
  return element;
}

/** A function from UTF-16 units to [text node, offset]; ``ends`` prefers the node that ends there. */
export function locator(element) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT, (node) =>
    node.parentElement.tagName === "B" ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT);
  const nodes = [];
  let passed = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    nodes.push([node, passed]);
    passed += node.length;
  }
  return (units, ends) => {
    let [low, high] = [0, nodes.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (ends ? nodes[middle][1] < units : nodes[middle][1] <= units) low = middle;
      else high = middle - 1;
    }
    return [nodes[low][0], Math.min(units - nodes[low][1], nodes[low][0].length)];
  };
}

/** How many UTF-16 units of the plain text come before a place in the document. */
export function unitsBefore(element, node, offset) {
  const range = document.createRange();
  range.setStart(element, 0);
  range.setEnd(node, offset);
  const part = range.cloneContents();
  all("b", part).forEach((name) => name.remove());
  return part.textContent.length;
}
