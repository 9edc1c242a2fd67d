// One tab as the channel sees it: a position in the store. Nothing is queued for a tab: it is sent the
// next batch once it has taken the last, and that holds all that came meanwhile. So a slow tab gets
// larger batches, and a frozen one costs nothing. Pure: the channel sends.

/** @import { Attach, Delivery, ReceivedEvent } from "./protocol.js" */
/** @import { Store } from "./store.js" */
import { distance } from "./cursor.js";
import { isPublished } from "./store.js";

/** A batch holds at most so much, so that taking it never blocks a page for long. */
export const BATCH_EVENTS = 2_000;
export const BATCH_BYTES = 2 ** 20;

/**
 * What is told apart from the log, since only the newest matters.
 * @typedef {object} Latest
 * @property {ReceivedEvent | null} welcome the last `connection`; it is in the store too, for a time
 * @property {number} welcomeAt its position there
 * @property {ReceivedEvent | null} presence
 */

export class Tab {
  /** @param {Store} store */
  constructor(store) {
    this.store = store;
    this.position = 0;
    /** Up to here everything is history for this tab. */
    this.newsFrom = 0;
    /** How many published events lie before `position`, less those that it lacks. */
    this.passed = 0;
    this.lacksWelcome = false;
    /** @type {ReceivedEvent | null} the presence that it was told last */
    this.presence = null;
    /** @type {ReceivedEvent[]} what it is sent before the rest */
    this.ahead = [];
    /** Whether a batch is on its way. */
    this.taking = false;
  }

  /**
   * Finds its place: after what it has, or at the oldest thing kept if it shows nothing yet.
   * @param {Pick<Attach, "last" | "fresh">} attach
   * @param {Latest} latest
   */
  place({ last, fresh }, latest) {
    const { store } = this;
    const known = last === "" ? store.end : store.positionAfter(last);
    this.newsFrom = known ?? store.first;
    this.position = fresh ? store.first : this.newsFrom;
    this.passed = known === null ? this.passedUpTo(last) : this.publishedBefore(this.position);
    this.lacksWelcome = latest.welcome !== null && latest.welcomeAt < this.position;
  }

  /** Begins again with a store that begins further back. @param {Store} store */
  restart(store) {
    this.store = store;
    this.position = 0;
    this.newsFrom = 0;
    this.passed = 0;
    this.lacksWelcome = false;
    this.ahead = [];
  }

  /** @param {number} position */
  publishedBefore(position) {
    let count = this.store.dropped;
    for (let at = this.store.first; at < position; at += 1) {
      if (isPublished(this.store.at(at))) count += 1;
    }
    return count;
  }

  /** For a tab that is behind all that is kept. @param {string} last */
  passedUpTo(last) {
    const lost = distance(last, this.store.floor);
    return Number.isNaN(lost) ? 0 : Math.max(0, this.store.dropped - lost);
  }

  /**
   * What to send now, and moves on past it.
   * @param {Latest} latest
   * @returns {Delivery | null} null when there is nothing new, or the last batch isn't taken yet
   */
  next(latest) {
    if (this.taking) return null;
    if (this.ahead.length > 0) {
      const events = this.ahead.splice(0, BATCH_EVENTS);
      this.taking = true;
      return { events, kept: events.length, dropped: 0 };
    }
    const dropped = this.skipDropped(latest);
    const events = this.store.read(this.position, BATCH_EVENTS, BATCH_BYTES);
    const from = this.position;
    this.position += events.length;
    for (const event of events) if (isPublished(event)) this.passed += 1;
    let kept = Math.max(0, Math.min(this.newsFrom, this.position) - from);
    if (this.lacksWelcome && latest.welcome) {
      events.unshift(latest.welcome);
      kept += 1;
    }
    this.lacksWelcome = false;
    if (latest.presence && latest.presence !== this.presence) {
      this.presence = latest.presence;
      if (kept === events.length) kept += 1;
      events.push(latest.presence);
    }
    this.taking = events.length > 0;
    return this.taking ? { events, kept, dropped } : null;
  }

  /** Steps over what the store let go meanwhile. @param {Latest} latest @returns {number} how many events */
  skipDropped(latest) {
    const { store } = this;
    const dropped = this.position <= store.first ? store.dropped - this.passed : 0;
    if (this.position < store.first) {
      this.lacksWelcome ||= latest.welcomeAt >= this.position && latest.welcomeAt < store.first;
      this.position = store.first;
    }
    this.passed += dropped;
    return dropped;
  }
}
