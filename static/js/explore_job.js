// A bulk answer at work: looked at again until it has ended.

import { one } from "./page.js";

const FIRST = 1_000; // ms
const LONGEST = 8_000;
let timer = 0;

async function look(pause) {
  const note = one("#job[data-poll]");
  if (!note) return;
  const answer = await fetch(note.dataset.poll, { headers: { "HX-Request": "true" }, credentials: "same-origin" }).catch(() => null);
  const found = answer?.ok && new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#job");
  if (found && note.isConnected && !note.contains(document.activeElement)) note.replaceWith(document.adoptNode(found));
  else if (found) one("div", note).firstElementChild.replaceWith(document.adoptNode(one("p", found)));
  watch(Math.min(pause * 1.3, LONGEST));
}

export function watch(pause = FIRST) {
  clearTimeout(timer);
  if (one("#job[data-poll]")) timer = setTimeout(() => look(pause), pause);
}

watch();
