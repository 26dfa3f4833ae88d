// Sending an answer and showing the next record. A failed save loses nothing: the form stays as it
// is, says so, and tries again; the server knows an answer that arrives twice.

import { answerForm, one, post, say, showState } from "./page.js";

const FIRST_PAUSE = 2_000;
const LONGEST_PAUSE = 30_000;

let stored = ""; // the answer as the server has it
let sending = false;
let retry = 0;
let pause = FIRST_PAUSE;
let again = null; // sends the last answer again
let tried = ""; // the answer that could not be saved
let onSwap = () => {};

function content(form) {
  const data = new FormData(form);
  for (const name of ["csrfmiddlewaretoken", "request_key", "status"]) data.delete(name);
  return new URLSearchParams(data).toString();
}

export function isDirty() {
  const form = answerForm();
  return Boolean(form) && content(form) !== stored;
}

/** The new form is what the server has, unless it came back with errors. */
export function start({ onNewRecord }) {
  onSwap = onNewRecord;
  const form = answerForm();
  stop();
  if (!form) return showState("saved");
  const refused = !one("#errors").hidden;
  stored = refused ? "" : content(form);
  showState(refused ? "unsaved" : "saved");
  form.addEventListener("submit", onSubmit);
  form.addEventListener("input", onEdit);
  form.addEventListener("change", onEdit);
}

function stop() {
  clearTimeout(retry);
  pause = FIRST_PAUSE;
  again = null;
  tried = "";
}

function onEdit(event) {
  if (!event.target.name && !event.target.matches(".q")) return;
  if (sending || content(answerForm()) === tried) return;
  tried = "";
  clearTimeout(retry); // half of an edit must not be sent
  showState(isDirty() ? "unsaved" : "saved");
}

function onSubmit(event) {
  event.preventDefault();
  const form = event.target;
  const button = event.submitter ?? one("[name=do]", form);
  send(button.getAttribute("formaction") ?? form.getAttribute("action"), form, button.value);
}

/** Send a form, e.g. the one that skips a record. */
export function sendForm(form, word) {
  send(form.getAttribute("action"), form, word);
}

async function send(url, form, word, { refreshed = false } = {}) {
  if (sending) return;
  sending = true;
  clearTimeout(retry);
  again = () => send(url, form, word);
  const data = new FormData(form);
  data.delete("csrfmiddlewaretoken");
  data.set("do", word);
  busy(true);
  try {
    const answer = await post(url, new URLSearchParams(data));
    const text = await answer.text();
    sending = false;
    if (answer.status === 403 && !refreshed) return await refreshAndSend(url, form, word);
    receive(answer.status, text, word);
  } catch {
    sending = false;
    fail("network");
  } finally {
    busy(false);
  }
}

/** The token may be older than the last sign-in: any page brings a new one. */
async function refreshAndSend(url, form, word) {
  await fetch(location.href, { credentials: "same-origin" });
  await send(url, form, word, { refreshed: true });
}

function receive(status, text, word) {
  const next = new DOMParser().parseFromString(text, "text/html").querySelector("#work");
  if (next && (status === 200 || status === 422 || status === 409)) return swap(next, status, word);
  if (status >= 500 || status < 400) return fail("server");
  fail([401, 403, 404, 409].includes(status) ? String(status) : "server");
}

function swap(next, status, word) {
  const said = answerForm()?.getAttribute(`data-said-${word}`) ?? "";
  one("#work").replaceWith(document.adoptNode(next));
  document.title = next.dataset.title;
  onSwap();
  if (status !== 200) return one("#errors").focus();
  history.replaceState(null, "", next.dataset.url);
  const heading = one("h1", next);
  heading.focus({ preventScroll: true });
  say(`${said} ${heading.textContent}`);
}

/** Keep the form, say what happened, offer to try again. */
function fail(why) {
  showState("failed");
  tried = content(answerForm());
  const box = one("#errors");
  const words = one("#failures").content;
  const text = one(`[data-for="${why}"]`, words) ?? one("[data-for=server]", words);
  const button = document.importNode(one("[data-retry]", words), true);
  button.addEventListener("click", () => again?.());
  one("div", box).replaceChildren(document.importNode(text, true), button);
  box.hidden = false;
  box.focus();
  if (why === "network" || why === "server") {
    retry = setTimeout(() => again?.(), pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }
}

function busy(on) {
  one("#work").setAttribute("aria-busy", String(on));
  if (on) showState("saving");
}

addEventListener("online", () => { if (tried) again?.(); });
addEventListener("beforeunload", (event) => {
  if (sending || isDirty()) event.preventDefault();
});
