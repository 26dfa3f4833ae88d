// What the person has to know beside the record: said above it, until they put it away.

import { all, one } from "./page.js";

const box = () => one("#notices");

/** Show the notice of an outcome of the server (#told); again, it is not doubled. */
export function tell(code, strays = "") {
  const note = one(`[data-told="${code}"]`, one("#told").content);
  if (!note) return;
  one(`[data-told="${code}"]`, box())?.remove();
  const shown = document.importNode(note, true);
  const place = one("[data-strays]", shown);
  if (place) place.textContent = strays;
  box().append(shown);
}

/** Show those that a record or a receipt brings along. */
export function tellAll({ told = "", strays }) {
  for (const code of told.split(" ").filter(Boolean)) tell(code, strays);
}

/** Put away what was said of earlier records. */
export function forget() {
  for (const note of all("[data-told]", box())) note.remove();
}

/** One notice about the connection, or none. */
export function showTrouble(why, onSend) {
  const old = one("[data-trouble]", box());
  if (old?.dataset.trouble === why) return;
  old?.remove();
  if (!why) return;
  const note = make(why);
  note.dataset.trouble = why;
  one("[data-send]", note).addEventListener("click", onSend);
  box().prepend(note);
}

/** One notice for each answer that waits for a decision; `acts` are its buttons' functions. */
export function showParked(parked, acts) {
  for (const note of all("[data-entry]", box()))
    if (!parked.some(({ entry }) => entry.id === note.dataset.entry)) note.remove();
  for (const { entry, why, gone } of parked) {
    if (one(`[data-entry="${entry.id}"]`, box())) continue;
    const note = make(why);
    note.dataset.entry = entry.id;
    one("[data-title]", note).textContent = entry.title;
    const kept = one("[data-kept]", note);
    if (kept) kept.append(...given(entry));
    if (gone) one("[data-given]", note)?.append(...gone.children);
    for (const [name, act] of Object.entries(acts))
      one(`[data-${name}]`, note)?.addEventListener("click", () => act(entry));
    box().append(note);
  }
}

/** What was answered, to be read and copied: questions by their titles. */
function given(entry) {
  const texts = new Map();
  for (const [name, text] of new URLSearchParams(entry.body))
    if (name.startsWith("q.") && text) texts.set(name, [...(texts.get(name) ?? []), text]);
  return [...texts].flatMap(([name, list]) => {
    const [title, answer] = [document.createElement("dt"), document.createElement("dd")];
    title.textContent = one(`.q[data-name="${CSS.escape(name)}"]`)?.dataset.title ?? name.slice(2);
    answer.textContent = list.join(", ");
    answer.dir = "auto";
    return [title, answer];
  });
}

function make(why) {
  const words = one("#outbox-words").content;
  const note = one(`[data-for="${why}"]`, words) ?? one("[data-for=forbidden]", words);
  return document.importNode(note, true).cloneNode(true);
}

export function start() {
  box().addEventListener("click", (event) => {
    event.target.closest("[data-drop]")?.closest(".note").remove();
  });
}
