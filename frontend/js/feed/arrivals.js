// Takes the batches of the stream into the feed, the view and the numbers, and says what of it is news.
//
// A page begins with the past: the newest events, or what it showed before a reload. Where that ends, the page's
// first welcome stands, though the stream tells it before: "live from here".

/** @import { Entry } from "./entry.js" */
/** @import { Feed } from "./feed.js" */
/** @import { Latency } from "./latency.js" */
/** @import { Pace } from "./pace.js" */
/** @import { Reading } from "./reading.js" */
/** @import { Batch, ReceivedEvent } from "../../client/v1/protocol.js" */
import { welcomeEntry } from "./entry.js";

/** What is kept by another tab comes in batches, without a word at their end. */
const SETTLED_MS = 250;

export class Arrivals {
  /** @param {{feed: Feed, reading: Reading, pace: Pace, latency: Latency}} parts */
  constructor({ feed, reading, pace, latency }) {
    this.feed = feed;
    this.reading = reading;
    this.pace = pace;
    this.latency = latency;
    /** The page's first welcome, until what came before it is taken. @type {ReceivedEvent | null} */
    this.opening = null;
    this.isOpen = false;
    /** How many of the next events this page opens with. */
    this.awaited = 0;
    this.tookAt = 0;
  }

  /**
   * @param {Batch} batch
   * @param {number} now milliseconds since 1970
   * @returns {Entry[]} what is new to who sits before the page, oldest first
   */
  take({ events, history, dropped }, now) {
    /** @type {Entry[]} */
    const news = [];
    this.tookAt = now;
    if (dropped > 0) this.reading.take(this.feed.takeLoss(dropped, now));
    for (const [index, event] of events.entries()) {
      const isOld = index < history || this.isAwaited(event);
      if (!isOld && event.type !== "connection") this.open();
      if (this.holdsBack(event)) continue;
      const entry = this.feed.take(event);
      if (!entry) continue;
      this.reading.take(entry);
      if (!isOld) news.push(entry);
    }
    if (this.opening && this.awaited === 0 && history < events.length) this.open();
    this.measure(news, now);
    return news;
  }

  /** Says that the past is over, where nothing else does. @param {number} now @returns {boolean} whether it was not before */
  settle(now) {
    if (!this.opening || now - this.tookAt < SETTLED_MS) return false;
    this.open();
    return true;
  }

  /** Whether an event is one of those that the page opens with. @param {ReceivedEvent} event */
  isAwaited(event) {
    if (this.awaited === 0 || !event.replayed || !event.ownId || event.type === "connection") return false;
    this.awaited -= 1;
    return true;
  }

  /** Keeps the page's first welcome for later. @param {ReceivedEvent} event */
  holdsBack(event) {
    if (event.type !== "connection" || this.isOpen || this.opening) return false;
    const { resumed, replayed, client, clients, id } = welcomeEntry(event, 0);
    this.opening = event;
    this.awaited = resumed ? 0 : replayed;
    Object.assign(this.feed, { client, clients, cursor: id });
    return true;
  }

  open() {
    if (!this.opening) return;
    const entry = this.feed.take(this.opening);
    this.opening = null;
    this.isOpen = true;
    this.awaited = 0;
    if (entry?.kind !== "welcome") return;
    entry.opening = true;
    this.reading.take(entry);
  }

  /** @param {Entry[]} news @param {number} now */
  measure(news, now) {
    let events = 0;
    for (const entry of news) {
      if (entry.kind !== "event") continue;
      events += 1;
      if (entry.live) this.latency.add(entry.time, entry.at);
    }
    this.feed.received += events;
    this.pace.add(events, now);
  }
}
