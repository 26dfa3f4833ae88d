// What the annotate page's keys do.

import * as answers from "./answers.js";
import * as keys from "./keys.js";
import * as panes from "./panes.js";
import * as ranking from "./ranking.js";
import * as spans from "./spans.js";
import { one } from "./page.js";

const press = (selector) => (one(selector) ? one(selector).click() : false);
const submit = () => press("#answer [name=do][value=submit]");
const scrolls = (event) => event.target.matches?.(".pane, .qs") || keys.isControl(event.target);
const goTo = (tab) => () => press(`[data-tab="${tab}"]`);
const inRanking = () => answers.current()?.dataset.type === "ranking";
const by = (event, back) => (event.key === back ? -1 : 1);
const open = (run) => (...given) => (answers.current() ? run(...given) : false);

function move(event) {
  const item = document.activeElement.closest?.(".rank > li") ?? one(".q.now .rank > li.on");
  return item ? ranking.move(item, by(event, "ArrowUp")) : false;
}

function leave(event) {
  const question = keys.isText(event.target) && event.target.closest(".q");
  return question ? question.focus() : false;
}

/** The labels of a question that has many, else the search. */
function enterFilter() {
  if (!answers.current() || answers.enterFilter() === false) one("#words")?.select();
}

const COMMANDS = {
  "option.digit": (event, digit) => answers.type(digit),
  "option.move": (event) => (scrolls(event) ? false : answers.stepOption(by(event, "ArrowLeft"))),
  "suggestion.take": () => answers.accept(answers.current()),
  "suggestion.take-all": () => answers.acceptAll(),
  "answer.clear": () => answers.clear(answers.current()),
  "question.next": () => answers.stepQuestion(1),
  "question.previous": () => answers.stepQuestion(-1),
  "question.move": (event) => (scrolls(event) ? false : answers.step(by(event, "ArrowUp"))),
  "answer.submit": submit,
  "answer.submit-anywhere": submit,
  "answer.draft": () => press("#answer [name=do][value=draft]"),
  "answer.discard": () => press("#answer [name=do][value=discard]"),
  "record.next": () => press("[data-go=next]"),
  "record.previous": () => press("[data-go=previous]"),
  "record.similar": () => press("[data-go=similar]"),
  "record.least": () => press("[data-go=least]"),
  "record.comment": () => press("[data-go=comments]"),
  "record.flag": () => press("[data-go=flag]"),
  "guidelines.toggle": () => panes.toggle("guidelines"),
  "metadata.toggle": () => panes.toggle("metadata"),
  "go.guidelines": () => panes.enter("guidelines"),
  "go.metadata": () => panes.enter("metadata"),
  "text.enter": () => answers.enterText(),
  "text.leave": leave,
  "ranking.move": move,
  "ranking.tie": () => (inRanking() ? ranking.tie(answers.current()) : false),
};

// Fixed keys in a text that is marked: spans.js reads them itself.
for (const name of ["word", "extend", "letter", "line", "ends", "mark", "step", "start", "remove"])
  COMMANDS[`span.${name}`] = () => false;
for (const [name, run] of Object.entries(spans.COMMANDS))
  COMMANDS[name] = (event) => {
    const question = spans.questionOf(event.target);
    return question ? run(event.target, question) : false;
  };

/** Not the browser's keys, nor what is typed beside the form. */
const isForRecord = (target, name) =>
  !/Tab$|^F\d+$|^Control/.test(name) && (!keys.isText(target) || Boolean(target.closest("#answer")));

/** Keys meant for the next record, which is not here yet, and keys in a text that is marked. */
function first(event, name) {
  if (!answers.current()) return false;
  if (one("#work[aria-busy=true]")) return isForRecord(event.target, name);
  const marking = spans.questionOf(event.target);
  return Boolean(marking && !event.ctrlKey && !event.metaKey && spans.press(event, marking));
}

export function start() {
  for (const [command, run] of Object.entries(COMMANDS)) keys.register({ [command]: open(run) });
  keys.register({ "option.filter": enterFilter, "queue.filter": () => press("[data-opens=filter]") });
  keys.register({ "go.progress": goTo("console:team"), "go.review": goTo("review"), "go.bulk": goTo("explore") });
  keys.register({ "answer.undo": () => press("#undo button"), "answer.redo": () => press("#redo button") });
  keys.intercept(first);
}
