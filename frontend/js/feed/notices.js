// Which toasts are up. Each lives three seconds and is never pushed out; in a burst the first few stay
// readable, and the rest is counted.

/** @import { Entry } from "./entry.js" */

export const LIFE_MS = 3_000;

export class Notices {
  /** @param {number} most how many are shown at once */
  constructor(most) {
    this.most = most;
    /** @type {{entry: Entry, until: number}[]} oldest first */
    this.shown = [];
    /** How many found no room, counted anew every three seconds. */
    this.folded = 0;
    this.foldedUntil = 0;
  }

  /** @param {Entry} entry @param {number} now milliseconds */
  push(entry, now) {
    this.expire(now);
    if (this.shown.length < this.most) {
      this.shown.push({ entry, until: now + LIFE_MS });
      return;
    }
    if (this.folded === 0) this.foldedUntil = now + LIFE_MS;
    this.folded += 1;
  }

  /** Forgets what is over. @param {number} now milliseconds */
  expire(now) {
    while (this.shown.length > 0 && this.shown[0].until <= now) this.shown.shift();
    if (this.foldedUntil <= now) this.folded = 0;
  }
}
