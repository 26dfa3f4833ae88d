// Whether an answer is complete as far as the page can tell; the server has the last word.

import { all } from "./page.js";

function given(form, name) {
  return new FormData(form).getAll(name).filter((text) => String(text).trim() !== "");
}

function isComplete(form, question) {
  const values = given(form, question.dataset.name);
  const isRequired = question.querySelector("legend .req") !== null;
  if (values.length === 0) return !isRequired;
  if (question.dataset.type !== "ranking") return true;
  return values.length === all(".rank > li", question).length;
}

/** A draft and a discarded record may be anything; what is submitted answers what is required. */
export function isReady(form, word) {
  if (word !== "submit") return true;
  const questions = all(".q[data-type]", form);
  const some = questions.some((question) => given(form, question.dataset.name).length > 0);
  return some && questions.every((question) => isComplete(form, question));
}
