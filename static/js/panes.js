// Metadata and guidelines, open or closed for the records that follow too; fields to be copied.

import { all, one, say } from "./page.js";

const closed = { guidelines: true, metadata: false }; // as the page comes

/** As those of the record before were. */
export function start() {
  for (const [name, isClosed] of Object.entries(closed)) {
    const pane = one(`#${name}`);
    if (!pane) continue;
    pane.open = !isClosed;
    pane.addEventListener("toggle", () => remember(name, pane));
  }
  for (const button of all("[data-copy]")) button.addEventListener("click", () => copy(button));
}

export const toggle = (name) => set(name, (pane) => { pane.open = !pane.open; });

/** Open a pane and go into it. */
export const enter = (name) => set(name, (pane) => {
  pane.open = true;
  one("summary", pane).focus();
});

function set(name, run) {
  const pane = one(`#${name}`);
  if (!pane) return false;
  run(pane);
  remember(name, pane); // at once: the event comes later, perhaps after the next record
}

function remember(name, pane) {
  closed[name] = !pane.open;
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    say(button.dataset.done);
  } catch {
    say(button.dataset.failed);
  }
}
