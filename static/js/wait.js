// A queue that is empty because others hold its records: look again until one is free.

import { one } from "./page.js";

const FIRST = 5_000;
const LONGEST = 60_000;
let pause = FIRST;

async function look() {
  const waiting = one("[data-waits]");
  if (!waiting) pause = FIRST;
  else if (!document.hidden) {
    pause = Math.min(pause * 1.5, LONGEST);
    const url = waiting.dataset.waits;
    const answer = await fetch(url, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (answer.ok && page.querySelector("#answer")) return location.assign(url);
  }
  return later();
}

function later() {
  setTimeout(() => look().catch(later), pause); // no connection: the next time will do
}

export const start = later;
