// What every page of a member has: keys, and the palette.

import * as keys from "./keys.js";
import { all, one } from "./page.js";
import * as wait from "./wait.js";

const PAUSE = 120; // ms after the last letter
let timer = 0;
let asked = 0;

const links = () => all("#palette-places a");

async function load(search) {
  const mine = ++asked;
  const url = `${one("#palette").dataset.url}?${new URLSearchParams({ q: search })}`;
  const answer = await fetch(url, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
  if (mine !== asked) return null;
  if (!answer.ok) return undefined;
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

async function openPalette() {
  const box = one("#palette");
  if (!box) return location.assign(one("[data-opens=palette]").href); // this is the palette's page
  if (box.open) return;
  const found = await load("").catch(() => null);
  if (found === undefined) return location.assign(one("[data-opens=palette]").href); // it says why
  const part = found?.querySelector("#palette-part");
  if (!part) return;
  one("[data-part]", box).replaceChildren(document.adoptNode(part));
  if (!box.open) box.showModal();
  one("#palette-q").focus();
}

async function narrow() {
  const found = await load(one("#palette-q").value).catch(() => undefined);
  const places = found?.querySelector("#palette-places");
  if (places) one("#palette-places").replaceWith(document.adoptNode(places));
  return Boolean(places);
}

/** The first place of what is written, however quickly Enter came after it. */
async function goFirst() {
  clearTimeout(timer);
  if (!one("#palette") || (await narrow())) links()[0]?.click();
}

/** Arrows walk through the places; Enter in the field goes to the first. */
function walk(event) {
  const list = links();
  const here = list.indexOf(document.activeElement);
  if (event.key === "ArrowDown") (list[here + 1] ?? list.at(-1))?.focus();
  else if (event.key === "ArrowUp") (here > 0 ? list[here - 1] : one("#palette-q")).focus();
  else if (event.key === "Enter" && event.target.id === "palette-q") goFirst();
  else return;
  event.preventDefault();
}

wait.start();
keys.register({ "palette.open": () => { openPalette(); } });
document.addEventListener("click", (event) => {
  if (!event.target.closest?.("[data-opens=palette]") || !one("#palette")) return;
  event.preventDefault();
  openPalette();
});
document.addEventListener("input", (event) => {
  if (event.target.id !== "palette-q") return;
  clearTimeout(timer);
  timer = setTimeout(narrow, PAUSE);
});
document.addEventListener("keydown", (event) => {
  if (!event.isComposing && event.target.closest?.("#palette-part")) walk(event);
});
