// A ranking: the selects hold the answer, the list shows it in order of rank, ties beside each other.

import { all, one, say } from "./page.js";

const items = (question) => all(".rank > li", question);
const select = (item) => one("select", item);
const rankOf = (item) => Number(select(item).value.split(":")[0]) || null;

function setRank(item, rank) {
  const wanted = rank ? `${rank}:${item.dataset.value}` : "";
  select(item).value = wanted;
}

/** Sort by rank, unranked last, and print the ranks. */
function show(question) {
  const list = one(".rank", question);
  const last = items(question).length + 1;
  const ordered = items(question)
    .map((item, place) => ({ item, place, rank: rankOf(item) }))
    .sort((a, b) => (a.rank ?? last) - (b.rank ?? last) || a.place - b.place);
  const focused = document.activeElement;
  ordered.forEach(({ item, rank }, place) => {
    if (list.children[place] !== item) list.insertBefore(item, list.children[place]);
    const before = ordered[place - 1]?.rank;
    const tied = rank && (before === rank || ordered[place + 1]?.rank === rank);
    item.classList.toggle("none", !rank);
    item.classList.toggle("tie", Boolean(rank) && before === rank);
    one(".pos", item).textContent = rank ? `${rank}${tied ? " =" : ""}` : "";
  });
  if (list.contains(focused)) focused.focus();
}

function changed(question, item) {
  show(question);
  if (item) tell(question, item);
  question.dispatchEvent(new Event("change", { bubbles: true }));
}

/** Say where an item stands now: "B: 2 of 3, tied with A". */
function tell(question, item) {
  const words = one(".rank", question).dataset;
  const rank = rankOf(item);
  const tied = items(question).filter((other) => rank && other !== item && rankOf(other) === rank);
  const sentence = !rank ? words.saidNone : tied.length ? words.saidTied : words.said;
  say(sentence?.replace("{name}", item.dataset.letter).replace("{rank}", rank)
    .replace("{n}", items(question).length)
    .replace("{others}", tied.map((other) => other.dataset.letter).join(", ")) ?? "");
}

/** The item that a digit ranks: the one with focus, else the first without a rank. */
function cursor(question) {
  const focused = document.activeElement.closest?.(".rank > li");
  if (focused && question.contains(focused)) return focused;
  return items(question).find((item) => !rankOf(item)) ?? null;
}

function point(question, item) {
  items(question).forEach((other) => other.classList.toggle("on", other === item));
}

/** Mark the item that the next digit ranks. */
export function pointAtNext(question) {
  point(question, cursor(question));
}

export const size = (question) => items(question).length;
export const isComplete = (question) => items(question).every(rankOf);

/** Rank the item at the cursor and go on to the next one without a rank. */
export function rank(question, number) {
  const item = cursor(question) ?? items(question)[0];
  setRank(item, number);
  if (item === document.activeElement) question.focus({ preventScroll: true });
  changed(question, item);
  pointAtNext(question);
}

/** Move the cursor; false at the end of the list, where the question ends too. */
export function step(question, by) {
  const list = items(question);
  const from = list.findIndex((item) => item.contains(document.activeElement));
  const next = list[from < 0 ? (by > 0 ? 0 : -1) : from + by];
  if (!next) return false;
  next.focus();
  point(question, next);
  return true;
}

/** Move an item past its neighbours; out of a tie it first becomes a rank of its own. */
export function move(item, by) {
  const question = item.closest(".q");
  const ranked = items(question).filter(rankOf);
  const groups = [];
  for (const other of ranked) {
    const group = groups.at(-1);
    if (group && rankOf(group[0]) === rankOf(other)) group.push(other);
    else groups.push([other]);
  }
  const from = groups.findIndex((group) => group.includes(item));
  if (from < 0) groups.push([item]);
  else regroup(groups, from, item, by);
  groups.forEach((group, place) => group.forEach((other) => setRank(other, place + 1)));
  changed(question, item);
  point(question, item);
}

function regroup(groups, from, item, by) {
  const rest = groups[from].filter((other) => other !== item);
  if (rest.length) groups.splice(from, 1, ...(by < 0 ? [[item], rest] : [rest, [item]]));
  else {
    groups.splice(from, 1);
    groups.splice(Math.max(from + by, 0), 0, [item]);
  }
}

/** Give the item at the cursor the rank of the one above it. */
export function tie(question, item = cursor(question)) {
  const list = items(question);
  const above = item && list[list.indexOf(item) - 1];
  if (!above || !rankOf(above)) return;
  setRank(item, rankOf(above));
  changed(question, item);
  pointAtNext(question);
}

/** Ranks as a form sends them: `2:b`. */
export function fill(question, values) {
  for (const item of items(question)) {
    const given = values.find((text) => text.slice(text.indexOf(":") + 1) === item.dataset.value);
    setRank(item, parseInt(given, 10) || null);
  }
  show(question);
}

export function accept(question) {
  items(question).forEach((item) => setRank(item, Number(item.dataset.suggested) || null));
  changed(question);
}

/** Take back one rank where an item has focus, else all of them. */
export function clear(question) {
  const focused = items(question).filter((item) => item.contains(document.activeElement));
  (focused.length ? focused : items(question)).forEach((item) => setRank(item, null));
  changed(question);
  pointAtNext(question);
}

export const isAnswered = (question) => items(question).some(rankOf);

/** Drag an item by its grip: it moves past each neighbour whose middle the pointer passes. */
function drag(event, grip) {
  const item = grip.closest("li");
  const question = item.closest(".q");
  const follow = (moved) => {
    const before = item.previousElementSibling?.getBoundingClientRect();
    const after = item.nextElementSibling?.getBoundingClientRect();
    if (before && moved.clientY < before.top + before.height / 2) move(item, -1);
    else if (after && moved.clientY > after.top + after.height / 2 && rankOf(item)) move(item, 1);
  };
  const stop = () => {
    item.classList.remove("held");
    removeEventListener("pointermove", follow);
    for (const end of ["pointerup", "pointercancel"]) removeEventListener(end, stop);
  };
  event.preventDefault();
  item.classList.add("held");
  point(question, item);
  addEventListener("pointermove", follow);
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, stop);
}

export function start(question) {
  show(question);
  question.addEventListener("click", (event) => {
    const button = event.target.closest("[data-move], [data-tie]");
    if (button?.matches("[data-tie]")) tie(question, button.closest("li"));
    else if (button) move(button.closest("li"), Number(button.dataset.move));
  });
  question.addEventListener("pointerdown", (event) => {
    const grip = event.target.closest(".grip");
    if (grip && event.button === 0) drag(event, grip);
  });
}
