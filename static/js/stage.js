// The record on the screen: putting another one in its place.

import { all, one, say } from "./page.js";

const LONGEST_FRAME = 1_000; // ms

let onShow = () => {};

export const work = () => one("#work");
export const record = () => work().dataset.record ?? "";
export const busy = (on) => work().setAttribute("aria-busy", String(on));

/** Call `run` whenever a record has come onto the screen. */
export const whenShown = (run) => { onShow = run; };

/** A `#work` out of an answer of the server; null if there is none. */
export function read(text) {
  const node = new DOMParser().parseFromString(text, "text/html").querySelector("#work");
  return node && document.adoptNode(node);
}

/** Show a record; its heading gets the focus, or what is wrong with it. */
export function show(node, said = "") {
  work().replaceWith(node);
  document.title = node.dataset.title;
  onShow();
  if (one("#errors:not([hidden])")) return one("#errors").focus();
  history.replaceState(null, "", node.dataset.url);
  const heading = one("h1", node);
  heading.focus({ preventScroll: true });
  say(`${said} ${heading.textContent}`);
}

/** A copy as it is filled in, for later; nothing listens to it yet. */
export function copy(node) {
  const twin = node.cloneNode(true);
  const lists = all("select", twin);
  all("select", node).forEach((list, n) => { lists[n].selectedIndex = list.selectedIndex; });
  return twin;
}

/** After the next frame; a tab that is left meanwhile shows none any more. */
export function afterPaint(run) {
  let isDone = false;
  const once = () => {
    if (!isDone) run();
    isDone = true;
  };
  if (!document.hidden) requestAnimationFrame(() => setTimeout(once));
  setTimeout(once, document.hidden ? 0 : LONGEST_FRAME);
}
