// What is being answered, kept in the tab until it is saved: a reload, the back button or a crash
// takes nothing away.

const PREFIX = "stoneware.form.";
const MOST = 20; // records

let store;
let key = "";

const read = () => {
  try {
    return JSON.parse(store.getItem(key)) ?? {};
  } catch {
    return {};
  }
};

function write(forms) {
  const kept = Object.entries(forms).slice(-MOST);
  try {
    if (kept.length) store.setItem(key, JSON.stringify(Object.fromEntries(kept)));
    else store.removeItem(key);
  } catch { /* the storage is full: the page itself has to do */ }
}

export const get = (record) => read()[record] ?? null;

/** Keep what a form holds, as it would be sent; `null` for nothing. */
export function put(record, content) {
  const { [record]: before, ...others } = read();
  if (content !== null) write({ ...others, [record]: content });
  else if (before !== undefined) write(others);
}

export function start(storage, owner) {
  store = storage;
  key = PREFIX + owner;
}
