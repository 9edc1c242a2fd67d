// What is on view: the entries that match the filter, newest first; live, or held still while somebody reads.
// What comes in meanwhile is counted. Behind the feed's oldest entry follows the past, as far as it was asked for.

/** @import { Entry, EventEntry } from "./entry.js" */
/** @import { Feed } from "./feed.js" */
/** @import { Filter } from "./filter.js" */
import { Deque } from "./deque.js";
import { cutEntry } from "./entry.js";
import { EVERYTHING, matcherOf } from "./filter.js";
import { Past } from "./past.js";

export class Reading {
  /** @param {Feed} feed @param {Past} [past] */
  constructor(feed, past = new Past()) {
    this.feed = feed;
    this.past = past;
    /** The key of the entry that the past lies before. */
    this.joint = 0;
    /** @type {Filter} */
    this.filter = EVERYTHING;
    this.matches = matcherOf(EVERYTHING);
    /** @type {Deque<Entry>} what is on view */
    this.list = new Deque();
    /** How many of those are events, and gaps; the others are welcomes. */
    this.events = 0;
    this.gaps = 0;
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

  /** The rank of an entry, -1 if it is not on view. @param {Entry} entry */
  rankOf(entry) {
    const { list } = this;
    for (let number = list.end - 1; number >= list.first; number -= 1) {
      if (list.at(number) === entry) return list.end - 1 - number;
    }
    return -1;
  }

  /** The rank of the next gap behind a rank, or of the first one; -1 if there is none. @param {number} rank */
  gapAfter(rank) {
    if (this.gaps === 0) return -1;
    for (let step = 1; step <= this.size; step += 1) {
      const next = (rank + step) % this.size;
      if (this.at(next).kind === "gap") return next;
    }
    return -1;
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
    this.count(entry, 1);
    this.dropGone();
  }

  /** What the feed let go is no longer on view, unless the view is held: then it stays. */
  dropGone() {
    if (this.held) return;
    const { list, feed, past } = this;
    if (past.entries.length + past.cut > 0) {
      if (feed.oldestKey > this.joint) this.forgetPast(); // else the view would have a hole
      return;
    }
    while (list.size > 0 && list.at(list.first).key < feed.oldestKey) this.count(list.shift(), -1);
  }

  /** @param {Entry} entry @param {1 | -1} by */
  count(entry, by) {
    if (entry.kind === "event") this.events += by;
    if (entry.kind === "gap") this.gaps += by;
  }

  /** Keeps the view as it is. @param {number} now milliseconds since 1970 */
  hold(now) {
    if (this.held) return;
    this.held = this.feed.entries.toArray();
    this.heldAt = now;
    this.heldEvents = this.feed.events;
  }

  /** Goes on with the newest. */
  release() {
    if (!this.held) return;
    this.held = null;
    this.fresh = 0;
    this.freshGaps = 0;
    if (this.feed.oldestKey > this.joint) this.past.clear(this.filter);
    this.build();
  }

  /** @param {Filter} filter */
  setFilter(filter) {
    this.filter = filter;
    this.matches = matcherOf(filter);
    this.forgetPast();
    if (this.held) this.countFresh();
  }

  forgetPast() {
    this.past.clear(this.filter);
    this.build();
  }

  /** Notes what the past lies before, when it is asked for first. */
  joinPast() {
    this.joint = this.held?.[0]?.key ?? this.feed.oldestKey;
  }

  /**
   * Puts a part of the past behind what is on view.
   * @param {EventEntry[]} entries what the past has just taken, oldest first
   * @returns {number} by how many rows everything moved: the past keeps so many events, and lets newer ones go
   */
  extend(entries) {
    const hadCut = this.past.cut > 0;
    const gone = this.past.trim();
    if (gone > 0) {
      this.build();
      return (hadCut ? 0 : 1) - gone;
    }
    this.list.prepend(entries);
    this.events += entries.length;
    return 0;
  }

  build() {
    const { past } = this;
    const kept = this.held ?? this.feed.entries.toArray();
    const newest = past.entries.at(-1);
    const cut = newest && past.cut > 0 ? [cutEntry(past.cut, newest.time, -past.made - 1)] : [];
    this.list = new Deque([...past.entries, ...cut, ...kept.filter(this.matches)]);
    this.events = 0;
    this.gaps = 0;
    for (const entry of this.list.slots) this.count(entry, 1);
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
