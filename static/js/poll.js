// What runs is looked at again until it has ended. The server says what to look at (data-poll) and
// which parts are new: a part is a child with an id, exchanged when its data-state changes and taken
// away when it is gone.

import { all, one } from "./page.js";

const PAUSE = 2_000; // ms

/** Put the fresh part in place of the old one; the keyboard stays where it was. */
function exchange(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement.id : null;
  const open = new Set(all("details[open][id]", old).map((part) => part.id));
  const part = document.adoptNode(fresh);
  for (const details of all("details[id]", part)) if (open.has(details.id)) details.open = true;
  old.replaceWith(part);
  if (focused === null) return;
  const again = (focused && document.getElementById(focused)) || part;
  if (again === part) part.tabIndex = -1;
  again.focus({ preventScroll: true });
}

function merge(box, fresh) {
  const parts = [...fresh.children];
  for (const part of parts) {
    const old = document.getElementById(part.id);
    if (!old) box.append(document.adoptNode(part));
    else if (old.dataset.state !== part.dataset.state) exchange(old, part);
  }
  const kept = new Set(parts.map((part) => part.id));
  for (const old of [...box.children]) if (!kept.has(old.id) && !old.contains(document.activeElement)) old.remove();
  if (!fresh.dataset.poll) delete box.dataset.poll;
}

async function look() {
  const box = one("[data-poll]");
  if (!box) return;
  if (!document.hidden) {
    const answer = await fetch(box.dataset.poll, { headers: { "HX-Request": "true" }, credentials: "same-origin" }).catch(() => null);
    const page = answer?.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page && page.getElementById(box.id);
    if (fresh) merge(box, fresh);
    else if (answer?.status === 401 || answer?.status === 404) return;
  }
  watch();
}

function watch() {
  if (one("[data-poll]")) setTimeout(look, PAUSE);
}

watch();
