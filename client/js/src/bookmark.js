// Where a page is in the log: what it has taken, and what it had taken before it was reloaded. From
// this follows what is told twice (and let go), and what is no news. Pure.

/** @import { ReceivedEvent } from "./protocol.js" */
import { alreadySeen } from "./cursor.js";
import { readObject } from "./json.js";
import { isPublished } from "./store.js";

/** @typedef {{first: string, last: string}} Place as in Attach; what survives a reload */

export class Bookmark {
  /** @param {Place} remembered both "" for a new tab */
  constructor(remembered) {
    this.remembered = remembered;
    /** The last event taken since the page was loaded, or the position of the stream before its first. */
    this.taken = "";
    /** The cursor before the oldest event that a new tab would get now. */
    this.first = remembered.first;
    this.welcomes = 0;
    /** Whether the page has caught up with what it, or another tab, showed before. */
    this.current = false;
    /** Whether the page had all that the last welcome said is missing. */
    this.covered = false;
  }

  get isFresh() {
    return this.taken === "";
  }

  /** @returns {Place} */
  get place() {
    return { first: this.first, last: this.taken || this.remembered.last };
  }

  /**
   * @param {ReceivedEvent[]} events
   * @param {number} kept how many of them, from the first, were kept from before this tab attached
   * @returns {{events: ReceivedEvent[], history: number}} as in Batch; `events` may be empty
   */
  take(events, kept) {
    let history = 0;
    const taken = events.filter((event, index) => {
      if (!this.accepts(event)) return false;
      if (index >= kept && !this.showedBefore(event)) this.current = true;
      if (!this.current) history += 1;
      return true;
    });
    return { events: taken, history };
  }

  /** Notes an event; false for one that the page has. @param {ReceivedEvent} event */
  accepts(event) {
    if (event.type === "connection") return this.acceptWelcome(event);
    if (event.type === "gap") return this.acceptGap(event);
    if (!isPublished(event)) return true;
    if (alreadySeen(this.taken, event.id)) return false;
    this.taken = event.id;
    return true;
  }

  /** @param {ReceivedEvent} event */
  acceptWelcome(event) {
    const { missed } = readObject(event.data) ?? {};
    this.welcomes += 1;
    this.covered = alreadySeen(this.taken, event.id);
    // While a gap is announced and not told, an older position makes sure that it will be.
    if (!this.covered && (missed === 0 || missed === undefined)) this.taken = event.id;
    return true;
  }

  /** @param {ReceivedEvent} event its `id` is the welcome's: where the log goes on */
  acceptGap(event) {
    // An ID that this log never gave says nothing about what this log brings.
    const foreign = readObject(event.data)?.reason === "unknown";
    if (this.covered && !foreign) return false;
    this.taken = event.id;
    return true;
  }

  /** Whether it is what the page showed before it was reloaded, or tells of nothing newer. @param {ReceivedEvent} event */
  showedBefore(event) {
    if (event.type === "presence") return true;
    if (event.type === "connection" && this.welcomes > 1) return false;
    return alreadySeen(this.remembered.last, event.id);
  }
}
