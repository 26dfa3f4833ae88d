// The hold on records: renewed while the page is open, given back when it closes.

import * as ahead from "./ahead.js";
import { answerForm, one, post } from "./page.js";

const EVERY = 120_000; // ms; a hold lasts several times as long

// What the person's tabs hold, each under its own name: {where it is given back: until when}.
const TABS = `stoneware.hold.${document.body.dataset.member}.`;
const tab = TABS + Math.random();

let isAside = false; // the record is talked about on another page, and come back to

/** The forms of all records that the page holds: on the screen, and fetched ahead. */
const held = () => [answerForm(), ...ahead.forms()].filter((form) => form?.dataset.renew);

/** Tell the other tabs: on the way out this has to be known at once. */
export function note() {
  try {
    localStorage.setItem(tab, JSON.stringify(Object.fromEntries(held().map(({ dataset }) => [dataset.release, dataset.until]))));
  } catch { /* the storage is full or shut: the tabs do not know of each other */ }
}

const isOver = (until) => !(Date.parse(until) > Date.now());
const others = () => Object.entries(localStorage)
  .filter(([name]) => name.startsWith(TABS) && name !== tab).map(([name, text]) => [name, JSON.parse(text)]);
const isElsewhere = ({ dataset }) => others().some(([, holds]) => !isOver(holds[dataset.release]));

async function renew(form) {
  try {
    const answer = await post(form.dataset.renew);
    if (answer.ok) form.dataset.until = await answer.text();
    else if (answer.status === 410) lose(form);
  } catch { /* no connection: the next time will do */ }
  note();
}

/** A record on the screen may be answered all the same; one that waits is for others now. */
function lose(form) {
  if (form !== answerForm()) return ahead.drop(form.closest(".frame").dataset.record);
  one("[data-hold]").hidden = true;
  one("[data-hold-lost]").hidden = false;
}

function renewAll() {
  if (!document.hidden) held().forEach(renew);
}

/**
 * The page names the hold it had: a reload has taken a newer one by now, which must stay. The
 * record on the screen goes last, so that whoever comes back meanwhile gets it again. What another
 * tab has too is that tab's to give back: it renews its hold once this one has gone.
 */
function giveBack() {
  const stays = isAside ? answerForm() : null;
  for (const form of held().reverse().filter((one) => one !== stays && !isElsewhere(one))) {
    const until = new URLSearchParams({ until: form.dataset.until });
    post(form.dataset.release, until, { keepalive: true }).catch(() => {});
  }
  localStorage.removeItem(tab);
}

export function start() {
  for (const [name, holds] of others()) // of tabs that came to a sudden end
    if (Object.values(holds).every(isOver)) localStorage.removeItem(name);
  setInterval(renewAll, EVERY);
  document.addEventListener("visibilitychange", renewAll);
  document.addEventListener("click", (event) => {
    isAside = Boolean(event.target.closest?.("[data-go=comments], [data-go=flag]"));
  });
  ahead.whenFilled(note);
  addEventListener("pagehide", giveBack);
  addEventListener("storage", ({ newValue }) => { if (newValue === null) renewAll(); });
  addEventListener("pageshow", (event) => { if (event.persisted) renewAll(); });
}
