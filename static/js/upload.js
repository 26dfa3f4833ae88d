// An upload with its progress. Without this module the form is sent as any other.

import { all, one } from "./page.js";

function show(share, text) {
  const box = one("#progress");
  box.hidden = false;
  one("progress", box).value = Math.round(share * 100);
  one("[role=status]", box).textContent = text;
}

/** The server's answer in place of this page: it says what is wrong with the file. */
function replace(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const main = fresh.querySelector("#main");
  if (!main) return fail();
  main.querySelector("[autofocus]")?.removeAttribute("autofocus"); // something has the focus already
  one("#main").replaceWith(document.adoptNode(main));
  one("#errors")?.focus();
  begin();
}

function fail() {
  show(0, one("#source").dataset.failed);
  for (const button of all("#source button")) button.disabled = false;
}

function send(event) {
  if (event.submitter?.value !== "upload" || !one("#file").files.length) return;
  event.preventDefault();
  const source = event.target;
  const request = new XMLHttpRequest();
  const body = new FormData(source);
  body.append("source", "upload");
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    show(loaded / total, loaded < total ? `${Math.round((loaded / total) * 100)} %` : source.dataset.checking);
  });
  request.addEventListener("load", () => {
    if (request.status < 400 && new URL(request.responseURL).pathname !== location.pathname) location.assign(request.responseURL);
    else replace(request.responseText);
  });
  request.addEventListener("error", fail);
  request.open("POST", source.action || location.href);
  request.send(body);
  for (const button of all("button", source)) button.disabled = true;
}

function begin() {
  const source = one("#source");
  source.addEventListener("submit", send);
  const place = one("#drop");
  for (const name of ["dragenter", "dragover"]) place.addEventListener(name, (event) => { event.preventDefault(); place.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) place.addEventListener(name, () => place.classList.remove("over"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) one("#file").files = event.dataTransfer.files;
  });
}

begin();
