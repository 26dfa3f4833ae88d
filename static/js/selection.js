// What is selected in a text that is marked, in UTF-16 units.

import { locator, plain, unitsBefore } from "./highlight.js";
import * as offsets from "./offsets.js";

/** The selected stretch, made of whole graphemes; null for none. */
export function selected(element) {
  const selection = getSelection();
  if (!selection.rangeCount || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  if (!element.contains(range.startContainer) || !element.contains(range.endContainer)) return null;
  return offsets.snap(plain(element), {
    start: unitsBefore(element, range.startContainer, range.startOffset),
    end: unitsBefore(element, range.endContainer, range.endOffset),
  });
}

/** Select a stretch, so that it is seen and the next digit marks it. */
export function select(element, { start, end }) {
  const place = locator(element);
  const [from, to] = [place(start, false), place(end, true)];
  getSelection().setBaseAndExtent(...from, ...to);
  reveal(element);
}

/** Scroll the pane so far that the selection is in it. */
function reveal(element) {
  const pane = element.closest(".pane");
  const box = getSelection().getRangeAt(0).getBoundingClientRect();
  const frame = pane?.getBoundingClientRect();
  if (!frame || !box.height) return;
  if (box.bottom > frame.bottom) pane.scrollTop += box.bottom - frame.bottom + 16;
  else if (box.top < frame.top) pane.scrollTop -= frame.top - box.top + 16;
}

/** The word at a place of the window, or the one after it. */
export function wordAt(element, x, y) {
  const at = unitsAt(element, x, y);
  if (at === null) return null;
  const list = offsets.words(plain(element));
  return list.find((word) => word.end >= at) ?? list.at(-1) ?? null;
}

/** How far into the text a place of the window is; null beside it. */
export function unitsAt(element, x, y) {
  const caret = document.caretPositionFromPoint?.(x, y);
  const range = caret ? null : document.caretRangeFromPoint?.(x, y);
  const [node, offset] = caret ? [caret.offsetNode, caret.offset] : [range?.startContainer, range?.startOffset];
  return node && element.contains(node) ? unitsBefore(element, node, offset) : null;
}
