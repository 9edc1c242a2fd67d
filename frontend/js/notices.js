// Which toasts are up. Each lives three seconds; a burst shows its newest few, and counts the rest.

/** @import { Entry } from "./entry.js" */

export const LIFE_MS = 3_000;

export class Notices {
  /** @param {number} most how many are shown at once */
  constructor(most) {
    this.most = most;
    /** @type {{entry: Entry, until: number}[]} oldest first */
    this.shown = [];
    /** How many were pushed out before their time, counted anew every three seconds. */
    this.folded = 0;
    this.foldedUntil = 0;
  }

  /** @param {Entry} entry @param {number} now milliseconds */
  push(entry, now) {
    this.shown.push({ entry, until: now + LIFE_MS });
    if (this.shown.length <= this.most) return;
    this.shown.shift();
    if (this.folded === 0) this.foldedUntil = now + LIFE_MS;
    this.folded += 1;
  }

  /** Forgets what is over. @param {number} now milliseconds */
  expire(now) {
    this.shown = this.shown.filter((notice) => notice.until > now);
    if (this.foldedUntil <= now) this.folded = 0;
  }
}
