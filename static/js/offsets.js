// Places in a text. The browser counts UTF-16 units, everybody else counts code points; a person
// sees graphemes and words. A stretch is {start, end} in units, the end exclusive.

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });
const isSpace = (unit) => /\s/.test(unit);

let known = ["", []]; // a text, and where in it a code point takes two units

function doubles(text) {
  if (known[0] !== text) known = [text, Array.from(text.matchAll(/[\u{10000}-\u{10ffff}]/gu), (found) => found.index)];
  return known[1];
}

/** How many places at the head of a sorted list are `before`. */
function heads(list, before) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (before(list[middle], middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

const toPoints = (text, units) => units - heads(doubles(text), (at) => at + 1 < units);
const toUnits = (text, points) =>
  Math.min(points + heads(doubles(text), (at, passed) => at - passed < points), text.length);

export const asPoints = (text, { start, end }) => ({ start: toPoints(text, start), end: toPoints(text, end) });
export const asUnits = (text, { start, end }) => ({ start: toUnits(text, start), end: toUnits(text, end) });
export const overlap = (a, b) => a.start < b.end && b.start < a.end;

/** Grown to whole graphemes, so that no emoji is torn; without white space at its ends. */
export function snap(text, stretch) {
  let { start, end } = stretch;
  while (start < end && isSpace(text[start])) start += 1;
  while (start < end && isSpace(text[end - 1])) end -= 1;
  if (start >= end) return null;
  const all = graphemes.segment(text);
  const [first, last] = [all.containing(start), all.containing(end - 1)];
  return { start: first.index, end: last.index + last.segment.length };
}

export function words(text) {
  return [...segmenter.segment(text)]
    .filter((part) => part.isWordLike)
    .map(({ index, segment }) => ({ start: index, end: index + segment.length }));
}

/** The place one word, or one grapheme, further or back; the same place at the end of the text. */
export function step(text, at, by, { word, edge }) {
  if (!word) {
    const part = graphemes.segment(text).containing(by > 0 ? at : at - 1);
    return part ? part.index + (by > 0 ? part.segment.length : 0) : at;
  }
  const places = words(text).map((stretch) => stretch[edge]);
  return (by > 0 ? places.find((place) => place > at) : places.filter((place) => place < at).at(-1)) ?? at;
}

/** The next stretch of the same text, from the start again after the last. */
export function nextSame(text, { start, end }) {
  const found = text.indexOf(text.slice(start, end), end);
  const at = found < 0 ? text.indexOf(text.slice(start, end)) : found;
  return { start: at, end: at + end - start };
}

export function allSame(text, { start, end }) {
  const wanted = text.slice(start, end);
  const found = [];
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length))
    found.push({ start: at, end: at + wanted.length });
  return found;
}
