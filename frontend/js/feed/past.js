// What lies before the feed's oldest entry: asked for page by page, as far as the hub keeps it, and only what
// the filter lets through. It holds no clock and asks nobody: `asks` says what to ask, `take` takes the answer.

/** @import { EventEntry } from "./entry.js" */
/** @import { Filter } from "./filter.js" */
import { eventEntry } from "./entry.js";
import { EVERYTHING, matcherOf } from "./filter.js";

export const KEPT_PAST = 20_000;
export const KEPT_PAST_CHARACTERS = 16_000_000;
/** Of one page: taking it must not cost a frame. */
export const PAGE_EVENTS = 500;

/** An event as GET /api/history has it. @typedef {{id: string, type: string, data: unknown}} KeptEvent */
/** @typedef {{events: KeptEvent[], previous: string | null}} HistoryPage */

export class Past {
  constructor(capacity = KEPT_PAST, characters = KEPT_PAST_CHARACTERS) {
    this.capacity = capacity;
    this.mostCharacters = characters;
    this.made = 0;
    /** @type {Filter} */
    this.filter = EVERYTHING;
    this.matches = matcherOf(EVERYTHING);
    /** @type {EventEntry[]} oldest first */
    this.entries = [];
    this.characters = 0;
    /** How many of the newest were let go again. */
    this.cut = 0;
    /** The id before which to go on; "" until the first page. */
    this.before = "";
    /** Whether the hub keeps nothing before. */
    this.done = false;
    /** When the oldest event that was looked at was published. @type {number | null} */
    this.searchedTo = null;
    /** @type {"idle" | "loading" | "failed"} */
    this.state = "idle";
    /** Tells an answer to a question of before from the one that is awaited. */
    this.turn = 0;
  }

  /** Begins again, for another filter or before another entry. @param {Filter} filter */
  clear(filter) {
    this.filter = filter;
    this.matches = matcherOf(filter);
    this.entries = [];
    this.characters = 0;
    this.cut = 0;
    this.before = "";
    this.done = false;
    this.searchedTo = null;
    this.state = "idle";
    this.turn += 1;
  }

  get canLoad() {
    return this.state !== "loading" && !this.done;
  }

  /**
   * Takes a page.
   * @param {HistoryPage} page
   * @param {number} now milliseconds since 1970
   * @returns {EventEntry[]} what of it is on view, oldest first
   */
  take({ events, previous }, now) {
    this.state = "idle";
    this.before = previous ?? "";
    this.done = previous === null;
    const all = events.map((event) => this.entryOf(event, now));
    if (all.length > 0) this.searchedTo = all[0].time;
    const entries = all.filter(this.matches);
    this.entries = [...entries, ...this.entries];
    for (const { raw } of entries) this.characters += raw.length;
    return entries;
  }

  /** Lets the newest go where there are too many. @returns {number} how many went */
  trim() {
    let gone = 0;
    while (this.entries.length > 1 && (this.entries.length > this.capacity || this.characters > this.mostCharacters)) {
      this.characters -= this.entries.pop()?.raw.length ?? 0;
      gone += 1;
    }
    this.cut += gone;
    return gone;
  }

  /** @param {KeptEvent} event @param {number} now */
  entryOf({ id, type, data }, now) {
    const text = typeof data === "string" ? data : JSON.stringify(data);
    this.made += 1;
    const received = { id, type, data: text, ownId: true, at: now, client: null, replayed: true };
    return eventEntry(received, -this.made);
  }
}

/** Reads the hub's answer. @param {Record<string, unknown> | null} answer @returns {HistoryPage | null} */
export function readPage(answer) {
  if (!answer || !Array.isArray(answer.events)) return null;
  const events = /** @type {KeptEvent[]} */ (answer.events);
  return { events, previous: typeof answer.previous === "string" ? answer.previous : null };
}

/** The id to ask before, to get what is up to a cursor. @param {string} cursor @returns {string} "" if it is none */
export function idAfter(cursor) {
  const match = /^(\d+)-(\d+)$/.exec(cursor);
  return match ? `${match[1]}-${Number(match[2]) + 1}` : "";
}

/** The cursor just before an event. @param {string} id @returns {string} "" if it is no event's */
export function cursorBefore(id) {
  const match = /^(\d+)-([1-9]\d*)$/.exec(id);
  return match ? `${match[1]}-${Number(match[2]) - 1}` : "";
}
