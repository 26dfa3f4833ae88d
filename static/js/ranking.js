// A ranking: the selects hold the answer, the list shows it in order of rank, ties beside each other.

import { all, one } from "./page.js";

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

function changed(question) {
  show(question);
  question.dispatchEvent(new Event("change", { bubbles: true }));
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
  changed(question);
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
  changed(question);
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
export function tie(question) {
  const list = items(question);
  const item = cursor(question);
  const above = item && list[list.indexOf(item) - 1];
  if (!above || !rankOf(above)) return;
  setRank(item, rankOf(above));
  changed(question);
  pointAtNext(question);
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

export function start(question) {
  show(question);
  question.addEventListener("click", (event) => {
    const button = event.target.closest("[data-move]");
    if (button) move(button.closest("li"), Number(button.dataset.move));
  });
}
