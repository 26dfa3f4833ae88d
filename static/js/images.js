// Looking closely at a picture: its width grows, and the well around it scrolls. So arrow keys, wheel,
// finger and scroll bar move it without code; two fingers, + and - change its size.

import { one } from "./page.js";

const STEP = 1.25;
const LARGEST = 12; // times the width that fits

const prepared = new WeakSet(); // dialogs; a copy of one has its picture, and nobody who listens

const fitting = (well, image) =>
  Math.min(well.clientWidth, (well.clientHeight * image.naturalWidth) / image.naturalHeight || well.clientWidth);

/** Set the size, as a multiple of the fitting one, and keep the middle of the view in the middle. */
function resize(dialog, scale) {
  const well = one(".well", dialog);
  const image = one("img", well);
  const before = image.clientWidth || 1;
  const middle = [well.scrollLeft + well.clientWidth / 2, well.scrollTop + well.clientHeight / 2];
  dialog.dataset.scale = Math.min(Math.max(scale, 1), LARGEST);
  image.width = Math.round(fitting(well, image) * dialog.dataset.scale);
  const grown = image.clientWidth / before;
  well.scrollTo(middle[0] * grown - well.clientWidth / 2, middle[1] * grown - well.clientHeight / 2);
  one("output", dialog).textContent = `${Math.round(dialog.dataset.scale * 100)} %`;
}

function step(dialog, by) {
  resize(dialog, by === 0 ? 1 : Number(dialog.dataset.scale) * STEP ** by);
}

function onKey(event) {
  const by = { "+": 1, "=": 1, "-": -1, 0: 0 }[event.key];
  if (by === undefined || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  step(event.currentTarget, by);
}

/** Two fingers: the distance between them sets the size. */
function pinch(dialog, well) {
  const fingers = new Map();
  let from = null;
  const distance = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1;
  };
  well.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, event);
    if (fingers.size === 2) from = { distance: distance(), scale: Number(dialog.dataset.scale) };
  });
  well.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, event);
    if (from && fingers.size === 2) resize(dialog, (from.scale * distance()) / from.distance);
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"])
    well.addEventListener(end, (event) => {
      fingers.delete(event.pointerId);
      from = null;
    });
}

function prepare(dialog, picture) {
  prepared.add(dialog);
  const well = one(".well", dialog);
  const image = picture.cloneNode();
  well.replaceChildren(image);
  dialog.addEventListener("keydown", onKey);
  dialog.addEventListener("click", (event) => {
    const button = event.target.closest("[data-by]");
    if (button) step(dialog, Number(button.dataset.by));
  });
  image.addEventListener("dblclick", () => step(dialog, Number(dialog.dataset.scale) > 1 ? 0 : 3));
  pinch(dialog, well);
}

/** Open the dialog of a figure. */
export function open(figure) {
  const dialog = one("dialog", figure);
  if (!prepared.has(dialog)) prepare(dialog, one("img", figure));
  dialog.showModal();
  resize(dialog, 1);
  one(".well", dialog).focus();
}
