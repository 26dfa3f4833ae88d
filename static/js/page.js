// Small things that every module needs: finding elements, speaking, the save state.

export const one = (selector, root = document) => root.querySelector(selector);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];
export const answerForm = () => one("#answer");

/** Let a screen reader say the text; an element that is filled anew is read again. */
export function say(text) {
  const box = one("#say");
  box.textContent = "";
  setTimeout(() => { box.textContent = text; }, 50);
}

/** Show "saved", "unsaved", "saving" or "failed" in the top bar. */
export function showState(state) {
  one("#save-state").dataset.now = state;
}

export function cookie(name) {
  const pair = document.cookie.split("; ").find((text) => text.startsWith(`${name}=`));
  return pair ? decodeURIComponent(pair.slice(name.length + 1)) : "";
}

/** A POST as this page makes it: the token comes from the cookie, which outlives a new sign-in. */
export function post(url, body, options = {}) {
  return fetch(url, {
    method: "POST",
    body,
    headers: { "X-CSRFToken": cookie("csrftoken"), "HX-Request": "true" },
    credentials: "same-origin",
    ...options,
  });
}
