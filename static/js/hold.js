// The hold on a record: renewed while the page is open, given back when it closes.

import { answerForm, one, post } from "./page.js";

const EVERY = 120_000; // ms; a hold lasts several times as long

async function renew() {
  const form = answerForm();
  if (!form?.dataset.renew || document.hidden) return;
  try {
    const answer = await post(form.dataset.renew);
    if (answer.status === 410 && form === answerForm()) showLost();
  } catch { /* no connection: the next time will do */ }
}

function showLost() {
  one("[data-hold]").hidden = true;
  one("[data-hold-lost]").hidden = false;
}

export function start() {
  setInterval(renew, EVERY);
  document.addEventListener("visibilitychange", renew);
  // A reload must not give the record away; only some browsers tell a reload from a departure.
  let reloading = true;
  window.navigation?.addEventListener("navigate", (event) => {
    reloading = event.navigationType === "reload" || !event.destination;
  });
  if (window.navigation) reloading = false;
  addEventListener("pagehide", () => {
    const url = answerForm()?.dataset.release;
    if (url && !reloading) post(url, undefined, { keepalive: true }).catch(() => {});
  });
}
