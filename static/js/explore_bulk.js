// Answering what is selected: counted first, whenever something changes, then sent.

import { isAll, selected } from "./explore_list.js";
import { all, grouped, one, post } from "./page.js";

const PAUSE = 250; // ms after the last change
let timer = 0;
let asked = 0;
let sending = false;

const form = () => one("#answer");

function content(word) {
  const data = new FormData(form());
  data.delete("csrfmiddlewaretoken");
  if (isAll()) data.delete("record");
  data.set("do", word);
  return new URLSearchParams(data);
}

function heading() {
  const told = one("[data-heading]");
  const every = one("[data-all]");
  const n = selected();
  if (isAll()) told.textContent = every.parentElement.textContent.trim();
  else told.textContent = n ? told.dataset[n === 1 ? "one" : "some"].replace("{n}", grouped(n)) : told.dataset.none;
}

/** The button carries the number that will be stored. */
function label() {
  const count = one("#effect [data-answered]")?.dataset.answered;
  const text = one("[data-submit]");
  text.textContent = count === undefined ? text.dataset.plain : text.dataset.submit.replace("{n}", grouped(Number(count)));
  for (const button of all("[name=do]", form())) button.disabled = count === undefined || count === "0";
}

async function receive(answer) {
  const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#effect");
  if (!found) return false;
  one("#effect").replaceWith(document.adoptNode(found));
  label();
  return true;
}

/** Ask what would happen. ``expected`` of another selection is forgotten at once. */
function changed() {
  heading();
  clearTimeout(timer);
  one("#effect [name=expected]")?.remove();
  timer = setTimeout(ask, PAUSE);
}

async function ask() {
  const mine = ++asked;
  const answer = await post(form().getAttribute("action"), content("check")).catch(() => null);
  if (mine !== asked || sending) return;
  if (!answer || !(await receive(answer))) label();
}

export function fail(why) {
  const box = one("#errors");
  one("div", box).textContent = one("div", box).dataset[why];
  box.hidden = false;
  box.focus();
}

const refuse = (answer) => fail([401, 403, 404].includes(answer.status) ? "away" : "failed");

/** The dry run is of the status submitted; others may count differently, so they are counted anew. */
async function send(word) {
  sending = true;
  clearTimeout(timer);
  one("#errors").hidden = true;
  try {
    let data = content(word);
    if (word !== "submit" || !data.has("expected")) {
      data.delete("expected");
      const counted = await post(form().getAttribute("action"), data);
      if (!(await receive(counted))) return refuse(counted);
      if (!counted.ok) return;
      data = content(word);
      if (!data.has("expected")) return;
    }
    const answer = await post(form().getAttribute("action"), data);
    if (answer.status === 204) return location.assign(answer.headers.get("HX-Redirect"));
    if (!(await receive(answer))) refuse(answer);
  } catch {
    fail("failed");
  } finally {
    sending = false;
  }
}

export function press(word) {
  const button = one(`#answer [name=do][value=${word}]`);
  if (button.disabled) return false;
  button.click();
  return undefined;
}

export function toggleOwn(question) {
  const box = question && one("[name=accept]", question);
  if (!box) return false;
  box.click();
  return undefined;
}

document.addEventListener("selection", changed);
document.addEventListener("change", (event) => {
  if (event.target.closest("#answer")) changed();
});
document.addEventListener("input", (event) => {
  if (event.target.matches("#answer textarea")) changed();
});
document.addEventListener("submit", (event) => {
  if (event.target.id !== "answer" || event.submitter?.hasAttribute("formaction")) return;
  event.preventDefault();
  if (!sending) send((event.submitter ?? one("#answer [name=do]")).value);
});

/** With new results: nothing is selected in them. */
export function start() {
  heading();
  label();
}
