// Small things that every module needs: finding elements, speaking, the save state.

const LONGEST = 60_000; // ms for an answer of the server

export const one = (selector, root = document) => root.querySelector(selector);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];
export const answerForm = () => one("#answer");

/** Let a screen reader say the text; an element that is filled anew is read again. */
export function say(text) {
  const box = one("#say");
  box.textContent = "";
  setTimeout(() => { box.textContent = text; }, 50);
}

/** Show "saved", "unsaved", "saving", "queued" or "failed" in the top bar, and how many answers. */
export function showState(state, count = 0) {
  one("#save-state").dataset.now = state;
  for (const place of all("#save-state [data-count]")) place.textContent = count || "";
}

/** A number as the page's language writes it: 12,441. */
export const grouped = (number) => number.toLocaleString(document.documentElement.lang);

export function cookie(name) {
  const pair = document.cookie.split("; ").find((text) => text.startsWith(`${name}=`));
  return pair ? decodeURIComponent(pair.slice(name.length + 1)) : "";
}

/**
 * A POST as this page makes it: the token comes from the cookie, which outlives a new sign-in, and
 * the member is named, so that nobody who signs in meanwhile answers for them.
 */
export function post(url, body, options = {}, headers = {}) {
  return fetch(url, {
    method: "POST",
    body,
    headers: { "X-CSRFToken": cookie("csrftoken"), "HX-Request": "true", "X-Member": document.body.dataset.member ?? "", ...headers },
    credentials: "same-origin",
    signal: AbortSignal.timeout(LONGEST),
    ...options,
  });
}

/** Whether the person works in another organization by now, opened in another tab. */
export const isElsewhere = (answer) => answer.headers.has("X-Elsewhere");
