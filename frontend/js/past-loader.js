// Asks the hub for the past: when the page opens and shows too little, when a filter lets too little through, when
// somebody scrolls to the end, and when they press the button there.

/** @import { EventEntry } from "./feed/entry.js" */
/** @import { Feed } from "./feed/feed.js" */
/** @import { Past } from "./feed/past.js" */
/** @import { Reading } from "./feed/reading.js" */
import { parametersOf } from "./feed/filter.js";
import { PAGE_EVENTS, cursorBefore, idAfter } from "./feed/past.js";
import { askPage } from "./parts/stats.js";

/** What is asked for unasked goes so far. */
const MOST_PAGES = 10;

export class PastLoader {
  /**
   * @param {{feed: Feed, reading: Reading, past: Past, url: string, headers: Record<string, string>,
   *   onPage: (moved: number) => void}} parts `onPage` is told by how many rows what is seen moved
   */
  constructor({ feed, reading, past, url, headers, onPage }) {
    this.feed = feed;
    this.reading = reading;
    this.past = past;
    this.url = url;
    this.headers = headers;
    this.onPage = onPage;
    /** How many events should be on view, and how many pages may be asked for until they are. */
    this.wanted = 0;
    this.pagesLeft = 0;
  }

  /** Asks until so many events are on view, or the hub keeps no more, or it goes too far. @param {number} count */
  fill(count) {
    this.wanted = count;
    this.pagesLeft = MOST_PAGES;
    this.goOn();
  }

  /** The next part, whatever there is already. */
  more() {
    if (!this.past.canLoad) return;
    this.fill(this.reading.events + 1);
  }

  goOn() {
    const { past, reading } = this;
    if (past.state === "loading" || past.done || this.pagesLeft === 0 || reading.events >= this.wanted) return;
    this.pagesLeft -= 1;
    void this.load();
  }

  async load() {
    const { past, reading } = this;
    const before = past.before || this.start();
    if (before === "") return; // no stream has begun yet
    if (past.before === "") reading.joinPast();
    const { turn, filter } = past;
    past.state = "loading";
    const parameters = parametersOf(filter);
    parameters.set("before", before);
    parameters.set("limit", String(PAGE_EVENTS));
    const page = await askPage(this.url, parameters, this.headers);
    if (turn !== past.turn) return this.goOn(); // of another filter
    let moved = 0;
    if (page) moved = reading.extend(past.take(page, Date.now()));
    else past.state = "failed";
    this.onPage(moved);
    if (page) this.goOn();
  }

  /** One event of the history. @param {string} id @returns {Promise<EventEntry | null>} null if it isn't to be had */
  async find(id) {
    const after = cursorBefore(id);
    if (after === "") return null;
    const page = await askPage(this.url, new URLSearchParams({ after, limit: "1" }), this.headers);
    const [event] = page?.events ?? [];
    return event?.id === id ? this.past.entryOf(event, Date.now()) : null;
  }

  /** The id of the oldest thing that the page has: before it the past begins. */
  start() {
    const kept = this.reading.held?.find((entry) => entry.kind === "event") ?? this.feed.oldestEvent;
    return kept?.kind === "event" ? kept.id : idAfter(this.feed.cursor);
  }
}
