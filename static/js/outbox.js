// Answers on their way: kept in the tab's storage until the server has them, sent one after the
// other, again and again while there is no connection. The server knows an answer that comes twice.

const PAUSES = [1_000, 2_000, 4_000, 8_000, 15_000, 30_000]; // ms
const PREFIX = "stoneware.outbox.";

const PASSING = ["network", "server", "signed-out", "elsewhere"];

const later = (run, pause) => setTimeout(run, pause);

/** Forget what others left in this tab: their answers are none of this person's business. */
export function sweep(store, mine) {
  for (const key of Object.keys(store))
    if (key.startsWith("stoneware.") && !key.endsWith(`.${mine}`)) store.removeItem(key);
}

/**
 * `send(entry)` resolves to "done", "network", "server", "signed-out", "elsewhere" (these are tried
 * again), or anything else: then the entry is parked, and waits for the person. An entry is `{id, …}`.
 */
export class Outbox {
  constructor({ store, owner, send, onChange = () => {}, timer = later, pauses = PAUSES }) {
    Object.assign(this, { store, send, onChange, timer, pauses, key: PREFIX + owner });
    this.entries = read(store, this.key);
    this.parked = new Map(); // id → why
    this.sending = null;
    this.trouble = ""; // why the last try failed
    this.tries = 0;
    this.waiting = 0;
  }

  get size() { return this.entries.length; }

  /** Whether all was sent that can be. */
  get isDrained() { return this.entries.every((entry) => this.parked.has(entry.id)); }

  push(entry) {
    this.entries.push(entry);
    this.#changed();
  }

  /** Take back what was not sent yet; null once it is on its way. */
  take(id) {
    const entry = this.entries.find((one) => one.id === id);
    if (!entry || this.sending === entry || entry.tried) return null;
    this.forget(id);
    return entry;
  }

  forget(id) {
    this.entries = this.entries.filter((one) => one.id !== id);
    this.parked.delete(id);
    this.#changed();
  }

  /** Send what waits, now; a parked entry only when it is named. */
  async flush(id) {
    clearTimeout(this.waiting);
    if (id) this.parked.delete(id);
    if (this.sending) return;
    for (let entry; (entry = this.entries.find((one) => !this.parked.has(one.id))); ) {
      this.sending = entry;
      entry.tried = true; // from now on it may have arrived
      this.#changed();
      const outcome = await this.send(entry).catch(() => "network");
      this.sending = null;
      if (PASSING.includes(outcome)) return this.#later(outcome);
      this.trouble = "";
      this.tries = 0;
      if (outcome === "done") this.forget(entry.id);
      else this.#park(entry, outcome);
    }
  }

  #later(trouble) {
    this.trouble = trouble;
    const pause = this.pauses[Math.min(this.tries, this.pauses.length - 1)];
    this.tries += 1;
    this.waiting = this.timer(() => this.flush(), pause);
    this.#changed();
  }

  #park(entry, why) {
    this.parked.set(entry.id, why);
    this.#changed();
  }

  #changed() {
    try {
      if (this.entries.length) this.store.setItem(this.key, JSON.stringify(this.entries));
      else this.store.removeItem(this.key);
    } catch { /* the storage is full: memory has to do */ }
    this.onChange(this);
  }
}

function read(store, key) {
  try {
    return JSON.parse(store.getItem(key)) ?? [];
  } catch {
    return [];
  }
}
