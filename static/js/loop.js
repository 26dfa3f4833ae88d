// Answering without waiting: the next record is shown at once, the answer goes through the outbox.

import * as ahead from "./ahead.js";
import * as kept from "./kept.js";
import * as notices from "./notices.js";
import * as stage from "./stage.js";
import { History } from "./history.js";
import { Outbox, sweep } from "./outbox.js";
import { all, answerForm, isElsewhere, one, post } from "./page.js";

const LOOK_AGAIN = 4_000; // ms between looks for a record that is late

const steps = new History();
const gone = new Map(); // entry id → what the server says of an answer it cannot take
let outbox;
let onState = () => {};
let url = ""; // where the next records are
let numbers = null; // progress as of the last receipt
let place = null; // in a part of the queue, as the page was told it and as it has gone on since
let looking = 0;

export const unsaved = () => outbox.size;
export const trouble = () => outbox.trouble || (outbox.parked.size ? "parked" : "");

/** Whether the record on the screen is answered without waiting. */
export const isOn = () => Boolean(stage.work().dataset.ahead);

function entryOf(form, word) {
  const data = new FormData(form);
  data.delete("csrfmiddlewaretoken");
  data.set("do", word);
  return {
    id: `${Date.now()}-${Math.random().toString(36).slice(2)}`,
    url: form.getAttribute("action"),
    body: new URLSearchParams(data).toString(),
    word,
    title: one("h1").textContent,
    record: stage.record(),
  };
}

/** Keep the answer for the server and go on to the next record. */
export function advance(form, word, { again = false } = {}) {
  const node = stage.work();
  const entry = entryOf(form, word);
  const said = answerForm()?.getAttribute(`data-said-${word}`) ?? "";
  notices.forget();
  outbox.push(entry);
  kept.put(entry.record, null);
  if (word === "skip") ahead.pass(entry.record);
  else steps[again ? "pushAgain" : "push"]({ id: entry.id, entry, node });
  showNext(said);
  stage.afterPaint(() => outbox.flush());
}

function showNext(said = "") {
  const next = ahead.take();
  if (!next) stage.show(document.importNode(one("#waiting").content, true).firstElementChild, said);
  else {
    stage.show(next, said);
    if (numbers) showNumbers(numbers);
  }
  stage.afterPaint(refill);
}

/** Records at hand, and those whose answers the server does not have yet. */
const have = () => [stage.record(), ...outbox.entries.map((entry) => entry.record)].filter(Boolean);
const isWaiting = () => "waiting" in stage.work().dataset;

async function refill() {
  clearTimeout(looking);
  url = stage.work().dataset.ahead ?? url;
  if (!url || (!isOn() && !isWaiting())) return;
  await ahead.fill(url, have).catch(() => {});
  if (!isWaiting()) return;
  if (ahead.nodes().length) return showNext();
  if (outbox.isDrained && await openQueue()) return;
  looking = setTimeout(refill, LOOK_AGAIN);
}

/** What the server would show now: a record, or why there is none. */
async function openQueue() {
  const answer = await fetch(stage.work().dataset.url, { headers: { "HX-Request": "true" } }).catch(() => null);
  const node = answer?.ok && stage.read(await answer.text());
  if (!node || !isWaiting()) return false;
  stage.show(node);
  stage.afterPaint(refill);
  return true;
}

async function send(entry) {
  const answer = await deliver(entry, { "X-Receipt": "1" });
  const found = new DOMParser().parseFromString(await answer.text(), "text/html");
  const receipt = one("#receipt", found);
  if (answer.ok && receipt) return take(receipt);
  if (isElsewhere(answer)) return "elsewhere";
  if (answer.status === 401 || answer.redirected) return "signed-out";
  if (answer.status === 429 || answer.status >= 500 || answer.ok) return "server";
  if (answer.status === 422 || answer.status === 409) return "refused";
  const rest = one("#gone > div", found);
  if (!rest) return "forbidden";
  gone.set(entry.id, document.adoptNode(rest));
  return "gone";
}

/** The token may be older than the last sign-in: any page brings a new one. */
async function deliver(entry, headers) {
  const body = () => new URLSearchParams(entry.body);
  const answer = await post(entry.url, body(), {}, headers);
  if (answer.status !== 403) return answer;
  await fetch(location.href, { credentials: "same-origin" });
  return post(entry.url, body(), {}, headers);
}

function take(receipt) {
  numbers = receipt;
  showNumbers(receipt);
  showPlace("new" in receipt.dataset ? 1 : 0);
  notices.tellAll(receipt.dataset);
  return "done";
}

function showNumbers(receipt) {
  for (const part of all("[data-part]", receipt)) {
    const place = one(`[data-part="${part.dataset.part}"]`);
    place?.replaceChildren(...part.cloneNode(true).childNodes);
  }
}

/** Counting what matches takes the server long: it is done once, and each new answer adds one. */
export function showPlace(more = 0) {
  const here = one("#matching");
  if (here?.dataset.words) {
    place = { ...here.dataset };
    delete here.dataset.words; // a record that comes again has a place that is past
  }
  if (!place) return;
  place.number = Math.min(Number(place.number) + more, Number(place.total));
  if (here) here.textContent = place.words.replace("#", place.number);
}

/** The outbox has changed: say so, and look for records once all is sent. */
function changed() {
  onState();
  notices.showTrouble(outbox.trouble, () => outbox.flush());
  const parked = outbox.entries.filter((entry) => outbox.parked.has(entry.id));
  notices.showParked(
    parked.map((entry) => ({ entry, why: outbox.parked.get(entry.id), gone: gone.get(entry.id) })),
    {
      return: returnTo,
      again: (entry) => outbox.flush(entry.id),
      forget: (entry) => outbox.forget(entry.id),
    },
  );
  if (outbox.isDrained) stage.afterPaint(refill);
}

/** The record of an answer that was refused, with what is wrong with it. */
async function returnTo(entry) {
  const answer = await deliver(entry, {}).catch(() => null);
  const node = answer && stage.read(await answer.text());
  if (!node) return notices.tell("unopened");
  if (!answer.ok) change(node);
  outbox.forget(entry.id);
}

/** Show another record and keep this one, as it is, for afterwards. */
function change(node, said = "") {
  if (answerForm() && isOn()) ahead.putBack(stage.copy(stage.work()));
  stage.show(node, said);
}

/** Back to the last answer: the page's own if it is not sent yet, else the server takes it back. */
export async function undo(form) {
  const step = steps.back((last) => outbox.take(last.id));
  if (step) return change(stage.copy(step.node));
  const answer = await ask(form);
  if (!answer) return;
  if (answer.status === 204) return notices.tell("nothing");
  const node = answer.ok && stage.read(await answer.text());
  if (!node) return;
  steps.drop();
  ahead.drop(node.dataset.record);
  change(node);
  notices.tell("undone");
}

export async function redo(form) {
  const step = steps.forth();
  if (step && step.entry.record === stage.record())
    return advance(answerForm(), step.entry.word, { again: true });
  const answer = await ask(form);
  if (!answer) return;
  if (answer.status === 204) return notices.tell("nothing");
  const found = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!answer.ok || !one("#receipt", found)) return;
  const record = answer.headers.get("X-Record");
  ahead.drop(record);
  if (stage.record() === record) showNext();
  take(one("#receipt", found));
}

/** Ask the server about the last act, once it has all answers; null when it cannot be asked. */
async function ask(form) {
  stage.busy(true);
  try {
    await outbox.flush();
    while (outbox.sending) await new Promise((go) => { setTimeout(go, 20); });
    if (!outbox.isDrained) return null; // no connection, as the page says already
    const url = form.getAttribute("action");
    return await deliver({ url, body: new URLSearchParams({ query: form.elements.query.value }) }, { "X-Receipt": "1" });
  } catch {
    return null;
  } finally {
    stage.busy(false);
  }
}

/** On the way out: one more try, without waiting for an answer. */
function leave() {
  for (const entry of outbox.entries)
    post(entry.url, new URLSearchParams(entry.body), { keepalive: true }, { "X-Receipt": "1" }).catch(() => {});
}

export function start({ onChange }) {
  const owner = document.body.dataset.member;
  url = stage.work().dataset.ahead ?? "";
  sweep(sessionStorage, owner);
  kept.start(sessionStorage, owner);
  onState = onChange;
  outbox = new Outbox({ store: sessionStorage, owner, send, onChange: changed });
  for (const form of all('form[action$="/logout/"]'))
    form.addEventListener("submit", () => addEventListener("pagehide", () => sweep(sessionStorage, "")));
  addEventListener("pagehide", leave);
  addEventListener("online", () => { outbox.flush(); refill(); });
  addEventListener("focus", () => { if (outbox.trouble) outbox.flush(); });
  stage.afterPaint(() => { outbox.flush(); refill(); });
}
