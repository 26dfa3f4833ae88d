// The form on the screen: whether it is saved, and how it is sent. In the pending queue the next
// record is shown at once (loop.js); elsewhere, and when something is wrong with the answer, the
// page waits for the server. A failed save loses nothing: the form stays as it is and says so.

import * as ahead from "./ahead.js";
import * as answers from "./answers.js";
import * as kept from "./kept.js";
import * as loop from "./loop.js";
import * as notices from "./notices.js";
import * as stage from "./stage.js";
import { isReady } from "./ready.js";
import { answerForm, isElsewhere, one, post, showState } from "./page.js";

const FIRST_PAUSE = 2_000;
const LONGEST_PAUSE = 30_000;
const DOUBLE_CLICK = 400; // ms
const REST = 300; // ms without a change, after which it is kept

let stored = ""; // the answer as the server has it
let shownAt = 0;
let sending = false;
let retry = 0;
let resting = 0;
let pause = FIRST_PAUSE;
let again = null; // sends the last answer again
let tried = ""; // the answer that could not be saved

function content(form) {
  const data = new FormData(form);
  for (const name of ["csrfmiddlewaretoken", "request_key", "status", "seen", "query"]) data.delete(name);
  return new URLSearchParams(data).toString();
}

export function isDirty() {
  const form = answerForm();
  return Boolean(form) && content(form) !== stored;
}

const isUndone = () => stage.work().dataset.told?.includes("undone");

/** The new form is what the server has, unless it came back with errors or was taken back. */
export function start() {
  const form = answerForm();
  stop();
  const refused = form && !one("#errors").hidden;
  const nothing = refused || !form || (isUndone() && [...new URLSearchParams(content(form)).values()].some(Boolean));
  stored = nothing ? "" : form.dataset.stored ?? content(form);
  refresh();
  if (!form) return;
  form.dataset.stored = stored; // goes with the form when it is put back for later
  shownAt = performance.now();
  form.addEventListener("click", onClick);
  form.addEventListener("submit", onSubmit);
  form.addEventListener("input", onEdit);
  form.addEventListener("change", onEdit);
}

/** Answer the record as it was answered before the page was left, if it was not saved. */
export function restore() {
  const content = answerForm() && !isDirty() ? kept.get(stage.record()) : null;
  if (content === null) return;
  answers.fill(new URLSearchParams(content));
  if (isDirty()) notices.tell("kept");
  refresh();
}

function keep() {
  clearTimeout(resting);
  const form = answerForm();
  if (form) kept.put(stage.record(), isDirty() ? content(form) : null);
}

/** What the top bar says: of answers on their way first, then of the form on the screen. */
export function refresh() {
  if (sending) return;
  const count = loop.unsaved();
  if (count) showState(loop.trouble() ? "failed" : "queued", count);
  else if (tried) showState("failed");
  else showState(isDirty() ? "unsaved" : "saved");
}

function stop() {
  clearTimeout(retry);
  pause = FIRST_PAUSE;
  again = null;
  tried = "";
}

function onEdit(event) {
  if (!event.target.name && !event.target.matches(".q")) return;
  clearTimeout(resting);
  resting = setTimeout(keep, REST);
  if (sending || content(answerForm()) === tried) return;
  tried = "";
  clearTimeout(retry); // half of an edit must not be sent
  refresh();
}

/** The second click of a double click is not meant for the record that has just come. */
function onClick(event) {
  const isPointer = event.detail > 0;
  if (isPointer && event.target.closest("[name=do]") && performance.now() - shownAt < DOUBLE_CLICK)
    event.preventDefault();
}

function onSubmit(event) {
  event.preventDefault();
  const form = event.target;
  const button = event.submitter ?? one("[name=do]", form);
  const isPlain = button.hasAttribute("formaction") || !one("#errors").hidden;
  if (!isPlain && !sending && loop.isOn() && isReady(form, button.value))
    return loop.advance(form, button.value);
  send(button.getAttribute("formaction") ?? form.getAttribute("action"), form, button.value);
}

/** Send a form, e.g. the one that skips a record. */
export function sendForm(form, word) {
  if (loop.isOn()) return loop.advance(form, word);
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
    receive(isElsewhere(answer) ? "elsewhere" : answer.status, text, word);
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
  const next = stage.read(text);
  if (next && [200, 409, 422].includes(status)) {
    const said = answerForm()?.getAttribute(`data-said-${word}`) ?? "";
    if (status === 200) kept.put(stage.record(), null);
    ahead.drop(next.dataset.record); // or it would come once more
    stage.show(next, said);
    if (next.dataset.told) notices.forget();
    return notices.tellAll(next.dataset);
  }
  if (status >= 500 || status < 400) return fail("server");
  fail(["elsewhere", 401, 403, 404, 409].includes(status) ? String(status) : "server");
}

/** Keep the form, say what happened, offer to try again. */
function fail(why) {
  tried = content(answerForm());
  refresh();
  const box = one("#errors");
  const words = one("#failures").content;
  const text = one(`[data-for="${why}"]`, words) ?? one("[data-for=server]", words);
  const button = document.importNode(one("[data-retry]", words), true);
  button.addEventListener("click", () => again?.());
  one("div", box).replaceChildren(document.importNode(text, true), button);
  const isNew = box.hidden; // by the second try the person may be elsewhere
  box.hidden = false;
  if (isNew) box.focus();
  if (why === "network" || why === "server") {
    retry = setTimeout(() => again?.(), pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }
}

function busy(on) {
  stage.busy(on);
  if (on) showState("saving");
}

addEventListener("pagehide", keep);
addEventListener("online", () => { if (tried) again?.(); });
addEventListener("beforeunload", (event) => {
  if (sending || loop.unsaved() || isDirty()) event.preventDefault();
});
