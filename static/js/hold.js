// The hold on records: renewed while the page is open, given back when it closes.

import * as ahead from "./ahead.js";
import { answerForm, one, post } from "./page.js";

const EVERY = 120_000; // ms; a hold lasts several times as long

let isAside = false; // the record is talked about on another page, and come back to

/** The forms of all records that the page holds: on the screen, and fetched ahead. */
const held = () => [answerForm(), ...ahead.forms()].filter((form) => form?.dataset.renew);

async function renew(form) {
  try {
    const answer = await post(form.dataset.renew);
    if (answer.ok) form.dataset.until = await answer.text();
    else if (answer.status === 410) lose(form);
  } catch { /* no connection: the next time will do */ }
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
 * record on the screen goes last, so that whoever comes back meanwhile gets it again.
 */
function giveBack() {
  const stays = isAside ? answerForm() : null;
  for (const form of held().reverse().filter((one) => one !== stays)) {
    const until = new URLSearchParams({ until: form.dataset.until });
    post(form.dataset.release, until, { keepalive: true }).catch(() => {});
  }
}

export function start() {
  setInterval(renewAll, EVERY);
  document.addEventListener("visibilitychange", renewAll);
  document.addEventListener("click", (event) => {
    isAside = Boolean(event.target.closest?.("[data-go=comments], [data-go=flag]"));
  });
  addEventListener("pagehide", giveBack);
  addEventListener("pageshow", (event) => { if (event.persisted) renewAll(); });
}
