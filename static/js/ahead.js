// The next records, fetched under lease before they are asked for, ready to be shown.

import { all, one } from "./page.js";

const READY = 2;

let waiting = []; // elements #work, the next one first
let loading = null;
let onFill = () => {};
const passed = new Set(); // skipped: they come last

/** Call `run` whenever records have come. */
export const whenFilled = (run) => { onFill = run; };

export const pass = (record) => passed.add(record);

export const nodes = () => [...waiting];
export const take = () => waiting.shift() ?? null;

/** Put a record back in front: it comes next. */
export const putBack = (node) => waiting.unshift(node);

/** Let a record go that the page no longer holds, or shows otherwise. */
export const drop = (id) => { waiting = waiting.filter((node) => node.dataset.record !== id); };

/** Fetch what is missing. `have` are the records at hand besides those that wait here. */
export function fill(url, have) {
  if (!url || waiting.length >= READY) return Promise.resolve();
  loading ??= load(url, have).finally(() => { loading = null; });
  return loading;
}

async function load(url, have) {
  const query = new URLSearchParams();
  for (const id of [...have(), ...waiting.map((node) => node.dataset.record)]) query.append("have", id);
  for (const id of [...passed].slice(-40)) query.append("passed", id);
  const answer = await fetch(`${url}${url.includes("?") ? "&" : "?"}${query}`, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
  if (!answer.ok) return;
  const found = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const held of all("[data-held]", found)) prolong(held.dataset.held, held.dataset.until);
  const known = new Set([...have(), ...waiting.map((node) => node.dataset.record)]);
  for (const node of all(".frame[data-record]", found))
    if (!known.has(node.dataset.record)) waiting.push(document.adoptNode(node)); // images load now
  onFill();
}

/** Whoever claims renews what is held: the page lets go of that hold, not of the one before. */
function prolong(record, until) {
  for (const node of [one("#work"), ...waiting]) {
    const form = one("form.ask", node);
    if (node.dataset.record === record && form?.dataset.until) form.dataset.until = until;
  }
}

/** The forms of the records that wait. */
export const forms = () => waiting.map((node) => one("form.ask", node));
