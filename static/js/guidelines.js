// The guidelines panel follows the current question to the heading that names it, or a label of it.

import { all, one } from "./page.js";

const plain = (text) => text.trim().toLowerCase().replace(/[_\s]+/g, " ");

/** The heading with the question's title or name, else with the chosen label's, else with any's. */
function sectionOf(question) {
  const headings = all("#guidelines :is(h1, h2, h3, h4, h5, h6)");
  const find = (text) => headings.find((heading) => plain(heading.textContent) === plain(text));
  const labels = all(".opt:has(:checked) [data-name], .opt [data-name]", question);
  const names = [question.dataset.title ?? "", question.dataset.name.slice(2), ...labels.map((l) => l.textContent)];
  return names.map(find).find(Boolean) ?? null;
}

export function follow(question) {
  const panel = one("#guidelines");
  if (!panel || !question) return;
  const section = sectionOf(question);
  for (const heading of all("[aria-current]", panel)) heading.removeAttribute("aria-current");
  const named = one("[data-section]", panel);
  if (named) named.textContent = section ? `· ${section.textContent}` : "";
  if (!section) return;
  section.setAttribute("aria-current", "true");
  if (panel.open) panel.scrollTop += section.getBoundingClientRect().top - panel.getBoundingClientRect().top - one("summary", panel).offsetHeight;
}

/** Opening the panel shows the section of the question at hand. */
export function start(current) {
  one("#guidelines")?.addEventListener("toggle", () => follow(current()));
}
