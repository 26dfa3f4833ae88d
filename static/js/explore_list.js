// The list of hits: the cursor, what is selected, more of it on scrolling.

import { all, grouped, one } from "./page.js";

let last = -1; // where the cursor was put last, for selecting with Shift
let watcher = null;

const hits = () => all("#hits > .hit");
const box = (hit) => one("input[name=record]", hit);
const cursor = () => one("#hits > .hit.cursor");

export const selected = () => all("#hits input[name=record]:checked").length;
export const isAll = () => Boolean(one("[data-all]")?.checked);

/** ``focus`` moves the keyboard and the view there too. */
function put(hit, { focus = true } = {}) {
  if (!hit) return;
  for (const other of hits()) other.classList.toggle("cursor", other === hit);
  if (!focus) return;
  hit.tabIndex = -1;
  hit.focus({ preventScroll: true });
  hit.scrollIntoView({ block: "nearest" });
}

/** Move the cursor; with ``extend`` what it leaves and where it comes to are selected. */
export function step(by, { extend = false } = {}) {
  const found = hits();
  if (!found.length) return false;
  const here = found.indexOf(cursor());
  const next = found[here < 0 ? (by > 0 ? 0 : found.length - 1) : here + by];
  if (extend) for (const hit of [found[here], next]) if (hit) box(hit).checked = true;
  put(next);
  if (extend) changed();
  if (next === found.at(-1)) load();
  return undefined;
}

export function toggle() {
  const hit = cursor();
  if (!hit) return false;
  box(hit).checked = !box(hit).checked;
  changed();
  return undefined;
}

export function selectPage() {
  const on = hits().some((hit) => !box(hit).checked);
  for (const hit of hits()) box(hit).checked = on;
  changed();
}

export function selectAll() {
  const every = one("[data-all]");
  if (!every) return false;
  every.checked = !every.checked;
  changed();
  return undefined;
}

function clear() {
  for (const hit of hits()) box(hit).checked = false;
  one("[data-all]").checked = false;
  changed();
}

export function press(selector) {
  const link = one(selector, cursor() ?? one("#hits") ?? document);
  return link ? link.click() : false;
}

export function follow(selector, show) {
  const link = cursor() && one(selector, cursor());
  if (!link) return false;
  show(link.href);
  return undefined;
}

/** Count what is selected, in words, and tell the form. */
function changed() {
  const told = one("[data-count]");
  if (!told) return;
  const n = selected();
  const { none, some, every } = told.dataset;
  told.textContent = isAll() ? every : n ? some.replace("{n}", grouped(n)) : none;
  const page = one("[data-page]");
  page.checked = isAll() || (n > 0 && n === hits().length);
  page.indeterminate = !page.checked && n > 0;
  one("[data-clear]").hidden = !n && !isAll();
  document.dispatchEvent(new CustomEvent("selection"));
}

async function load() {
  const link = one("[data-more-hits]");
  if (!link || link.getAttribute("aria-busy") === "true") return;
  link.setAttribute("aria-busy", "true");
  const answer = await fetch(link.href, { headers: { "HX-Request": "true" }, credentials: "same-origin" }).catch(() => null);
  if (!answer?.ok) return link.removeAttribute("aria-busy"); // the link itself is still there
  const found = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!link.isConnected) return;
  const known = new Set(hits().map((hit) => hit.dataset.id));
  for (const hit of found.querySelectorAll("#hits > .hit"))
    if (!known.has(hit.dataset.id)) one("#hits").append(document.adoptNode(hit));
  one("#more").replaceWith(document.adoptNode(one("#more", found) ?? document.createElement("span")));
  changed();
  observe();
}

function observe() {
  watcher?.disconnect();
  const link = one("[data-more-hits]");
  if (!link) return;
  watcher = new IntersectionObserver((seen) => { if (seen.some((entry) => entry.isIntersecting)) load(); }, { rootMargin: "200px" });
  watcher.observe(link);
}

/** The boxes between two clicks with Shift. */
function range(event) {
  const found = hits();
  const here = found.indexOf(event.target.closest(".hit"));
  if (event.shiftKey && last >= 0)
    for (const hit of found.slice(Math.min(last, here), Math.max(last, here) + 1)) box(hit).checked = event.target.checked;
  last = here;
}

export function start() {
  last = -1;
  const results = one("#results");
  results.addEventListener("click", (event) => {
    if (event.target.matches("input[name=record]")) range(event);
    if (event.target.closest("[data-clear]")) clear();
    if (event.target.closest("[data-more-hits]")) {
      event.preventDefault();
      load();
    }
    const hit = event.target.closest(".hit");
    if (hit) put(hit, { focus: false });
  });
  results.addEventListener("change", (event) => {
    if (event.target.matches("[data-page]")) selectPage();
    else if (event.target.matches("input[name=record], [data-all]")) changed();
  });
  results.addEventListener("focusin", (event) => {
    const hit = event.target.closest(".hit");
    if (hit && hit !== cursor()) put(hit, { focus: false });
  });
  changed();
  observe();
}
