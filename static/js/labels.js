// Many labels: a filter for them, and those that are folded away. Their numbers never change.

import { all, one, say } from "./page.js";

const isOpen = (question) => one("[data-more]", question)?.getAttribute("aria-expanded") === "true";
const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const options = (question) => all(".opt:not(.span, .nothing)", one(".opts", question));
const fitting = (question) => options(question).filter((option) => !option.hidden);

/** Show the options that have every typed word in their name. */
export function filter(box) {
  const question = box.closest(".q");
  const words = fold(box.value).split(/[\s_]+/).filter(Boolean);
  one(".opts", question).classList.toggle("open", words.length > 0 || isOpen(question));
  for (const option of options(question)) {
    const name = fold(one("[data-name]", option).textContent);
    option.hidden = !words.every((word) => name.includes(word));
  }
  const count = fitting(question).length;
  one("[data-none]", question).hidden = count > 0;
  if (words.length) say(box.dataset.said.replace("{n}", count));
}

/** Enter takes the first that fits, an arrow goes into them, Esc gives all of them back. */
export function onKey(event) {
  const box = event.target;
  if (!box.matches?.("[data-filter]") || event.isComposing) return;
  const question = box.closest(".q");
  const first = fitting(question)[0];
  if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) take(question, box, first);
  else if (event.key === "ArrowDown") (first?.querySelector("input") ?? first)?.focus();
  else if (event.key === "Escape" && box.value) reset(box);
  else return;
  event.preventDefault();
  event.stopPropagation();
}

function take(question, box, first) {
  if (!first || !box.value.trim()) return;
  reset(box);
  question.focus({ preventScroll: true });
  first.click();
}

function reset(box) {
  box.value = "";
  filter(box);
}

export function toggleMore(button) {
  const open = button.getAttribute("aria-expanded") !== "true";
  button.setAttribute("aria-expanded", String(open));
  one(".opts", button.closest(".q")).classList.toggle("open", open);
}
