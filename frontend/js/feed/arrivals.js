// Takes the batches of the stream into the feed, the view and the numbers, and says what of it is news.

/** @import { Entry } from "./entry.js" */
/** @import { Feed } from "./feed.js" */
/** @import { Latency } from "./latency.js" */
/** @import { Pace } from "./pace.js" */
/** @import { Reading } from "./reading.js" */
/** @import { Batch } from "../../client/v1/protocol.js" */

export class Arrivals {
  /** @param {{feed: Feed, reading: Reading, pace: Pace, latency: Latency}} parts */
  constructor({ feed, reading, pace, latency }) {
    this.feed = feed;
    this.reading = reading;
    this.pace = pace;
    this.latency = latency;
    /** How many of the next events are a replay: they come late because this page was away. */
    this.replayed = 0;
  }

  /**
   * @param {Batch} batch
   * @param {number} now milliseconds since 1970
   * @returns {Entry[]} what is new to who sits before the page, oldest first
   */
  take({ events, history, dropped }, now) {
    /** @type {Entry[]} */
    const news = [];
    if (dropped > 0) this.reading.take(this.feed.takeLoss(dropped, now));
    for (const [index, event] of events.entries()) {
      const entry = this.feed.take(event);
      if (!entry) continue;
      this.reading.take(entry);
      if (index >= history) news.push(entry);
    }
    this.measure(news, now);
    return news;
  }

  /** @param {Entry[]} news @param {number} now */
  measure(news, now) {
    let events = 0;
    for (const entry of news) {
      if (entry.kind === "welcome") this.replayed = entry.replayed;
      if (entry.kind !== "event") continue;
      events += 1;
      if (this.replayed > 0) this.replayed -= 1;
      else this.latency.add(entry.time, entry.at);
    }
    this.pace.add(events, now);
  }
}
