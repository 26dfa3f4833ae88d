// The hold on a record: renewed while the page is open, given back when it closes.

import { answerForm, one, post } from "./page.js";

const EVERY = 120_000; // ms; a hold lasts several times as long

async function renew() {
  const form = answerForm();
  if (!form?.dataset.renew || document.hidden) return;
  try {
    const answer = await post(form.dataset.renew);
    if (answer.ok) form.dataset.until = await answer.text();
    else if (answer.status === 410 && form === answerForm()) showLost();
  } catch { /* no connection: the next time will do */ }
}

function showLost() {
  one("[data-hold]").hidden = true;
  one("[data-hold-lost]").hidden = false;
}

/** The page names the hold it had: a reload has taken a newer one by now, which must stay. */
function giveBack() {
  const form = answerForm();
  if (!form?.dataset.release) return;
  const until = new URLSearchParams({ until: form.dataset.until });
  post(form.dataset.release, until, { keepalive: true }).catch(() => {});
}

export function start() {
  setInterval(renew, EVERY);
  document.addEventListener("visibilitychange", renew);
  addEventListener("pagehide", giveBack);
  addEventListener("pageshow", (event) => { if (event.persisted) renew(); });
}
