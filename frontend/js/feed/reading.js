// What of the feed is on view: the entries that match the filter, newest first; live, or held still
// while somebody reads. What comes in meanwhile is counted.

/** @import { Entry } from "./entry.js" */
/** @import { Feed } from "./feed.js" */
/** @import { Filter } from "./filter.js" */
import { Deque } from "./deque.js";
import { EVERYTHING, matcherOf } from "./filter.js";

export class Reading {
  /** @param {Feed} feed */
  constructor(feed) {
    this.feed = feed;
    /** @type {Filter} */
    this.filter = EVERYTHING;
    this.matches = matcherOf(EVERYTHING);
    /** @type {Deque<Entry>} what is on view */
    this.list = new Deque();
    /** How many of those are events; the others are welcomes and gaps. */
    this.events = 0;
    /** Changes whenever the list is made anew, so that its numbers mean other entries. */
    this.generation = 0;
    /** @type {Entry[] | null} all that was kept when the view was held; null while it follows */
    this.held = null;
    this.heldAt = 0;
    /** How many events were kept then. */
    this.heldEvents = 0;
    /** Matching events, and gaps, that came since. */
    this.fresh = 0;
    this.freshGaps = 0;
  }

  get size() {
    return this.list.size;
  }

  /** @param {number} rank 0 is the newest */
  at(rank) {
    return this.list.at(this.list.end - 1 - rank);
  }

  /** Takes what the feed has just taken. @param {Entry} entry */
  take(entry) {
    if (!this.matches(entry)) return this.dropGone();
    if (this.held) {
      if (entry.kind === "gap") this.freshGaps += 1;
      if (entry.kind === "event") this.fresh += 1;
      return;
    }
    this.list.append(entry);
    if (entry.kind === "event") this.events += 1;
    this.dropGone();
  }

  /** What the feed let go is no longer on view, unless the view is held: then it stays. */
  dropGone() {
    if (this.held) return;
    const { list } = this;
    while (list.size > 0 && list.at(list.first).key < this.feed.oldestKey) {
      if (list.shift().kind === "event") this.events -= 1;
    }
  }

  /** Keeps the view as it is. @param {number} now milliseconds since 1970 */
  hold(now) {
    if (this.held) return;
    this.held = this.feed.entries.toArray();
    this.heldAt = now;
    this.heldEvents = this.feed.received - this.feed.letGo;
  }

  /** Goes on with the newest. */
  release() {
    if (!this.held) return;
    this.held = null;
    this.fresh = 0;
    this.freshGaps = 0;
    this.build();
  }

  /** @param {Filter} filter */
  setFilter(filter) {
    this.filter = filter;
    this.matches = matcherOf(filter);
    this.build();
    if (this.held) this.countFresh();
  }

  build() {
    const kept = this.held ?? this.feed.entries.toArray();
    this.list = new Deque(kept.filter(this.matches));
    this.events = this.list.slots.filter((entry) => entry.kind === "event").length;
    this.generation += 1;
  }

  /** Another filter: what came since the hold is counted anew, as far as it is still kept. */
  countFresh() {
    const last = this.held?.at(-1)?.key ?? -1;
    const fresh = this.feed.entries.toArray().filter((entry) => entry.key > last && this.matches(entry));
    this.fresh = fresh.filter((entry) => entry.kind === "event").length;
    this.freshGaps = fresh.filter((entry) => entry.kind === "gap").length;
  }
}
