// What was answered on this page, to step back over answers that are not sent yet. Those that are
// sent the server takes back.

const KEPT = 20;

export class History {
  constructor() {
    this.past = [];
    this.undone = [];
  }

  /** A step is `{id, …}`; whatever was undone cannot be redone after it. */
  push(step) {
    this.past = [...this.past, step].slice(-KEPT);
    this.undone = [];
  }

  /** A step that was undone, done again: others undone before it still can be. */
  pushAgain(step) {
    this.past = [...this.past, step].slice(-KEPT);
  }

  /** The last step, if `may` says so; it can be redone then. */
  back(may) {
    const step = this.past.at(-1);
    if (!step || !may(step)) return null;
    this.past.pop();
    this.undone.push(step);
    return step;
  }

  /** The step undone last, to be done again. */
  forth() {
    return this.undone.pop() ?? null;
  }

  /** The server took the last step back: it is no longer ours to step over. */
  drop() {
    this.past.pop();
    this.undone = [];
  }
}
