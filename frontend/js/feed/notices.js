// Which toasts are up: the newest ones. Each lives three seconds; in a burst one gives way to a newer one only
// when it could be read, and what finds no room is counted.

/** @import { Entry } from "./entry.js" */

export const LIFE_MS = 3_000;
/** How long a toast stays in any case. */
export const READ_MS = 1_000;

export class Notices {
  /** @param {number} most how many are shown at once */
  constructor(most) {
    this.most = most;
    /** @type {{entry: Entry, since: number, until: number}[]} oldest first */
    this.shown = [];
    /** The newest that found no room yet. @type {Entry | null} */
    this.waiting = null;
    /** How many found none, counted anew every three seconds. */
    this.folded = 0;
    this.foldedUntil = 0;
  }

  /** @param {readonly Entry[]} entries that came together, oldest first @param {number} now milliseconds */
  push(entries, now) {
    const newest = entries.slice(-this.most);
    this.fold(entries.length - newest.length, now);
    for (const entry of newest) {
      if (this.waiting) this.fold(1, now);
      this.waiting = entry;
      this.expire(now);
    }
  }

  /** Forgets what is over, and shows what waits where it may. @param {number} now milliseconds */
  expire(now) {
    while (this.shown.length > 0 && this.shown[0].until <= now) this.shown.shift();
    if (this.foldedUntil <= now) this.folded = 0;
    if (!this.waiting) return;
    if (this.shown.length >= this.most) {
      if (now - this.shown[0].since < READ_MS) return;
      this.shown.shift();
    }
    this.shown.push({ entry: this.waiting, since: now, until: now + LIFE_MS });
    this.waiting = null;
  }

  /** @param {Entry} entry */
  close(entry) {
    this.shown = this.shown.filter((each) => each.entry !== entry);
  }

  clear() {
    this.shown = [];
    this.waiting = null;
    this.folded = 0;
  }

  /** @param {number} count @param {number} now */
  fold(count, now) {
    if (this.folded === 0) this.foldedUntil = now + LIFE_MS;
    this.folded += count;
  }
}
