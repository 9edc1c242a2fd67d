// What the page knows: the newest entries and the numbers. It grows by one event at a time,
// and knows no document and no network.

/** @import { Entry } from "./entry.js" */
/** @import { StreamEvent } from "./stream/parser.js" */
import { eventEntry, gapEntry, welcomeEntry } from "./entry.js";
import { Ring } from "./ring.js";
import { countOf, readObject } from "./stream/json.js";

export const KEPT_ENTRIES = 500;

export class Feed {
  constructor(capacity = KEPT_ENTRIES) {
    /** @type {Ring<Entry>} */
    this.entries = new Ring(capacity);
    /** Published events received since the page was loaded. */
    this.received = 0;
    /** @type {number | null} this page's number at the hub */
    this.client = null;
    /** @type {number | null} how many clients the hub has */
    this.clients = null;
  }

  /**
   * Takes the next event of the stream.
   * @param {StreamEvent} event
   * @param {number} now milliseconds since 1970
   * @returns {Entry | null} what it added; null for an event that only changes a number
   */
  take(event, now) {
    if (event.type === "presence") return this.takePresence(event);
    const entry = this.entryOf(event, now);
    this.entries.append(entry);
    return entry;
  }

  /** @param {StreamEvent} event @returns {null} */
  takePresence(event) {
    this.clients = countOf(readObject(event.data)?.clients) ?? this.clients;
    return null;
  }

  /** @param {StreamEvent} event @param {number} now @returns {Entry} */
  entryOf(event, now) {
    const key = this.entries.written;
    const payload = readObject(event.data) ?? {};
    if (event.type === "gap") return gapEntry(payload, key, now);
    if (event.type === "connection") {
      const welcome = welcomeEntry(payload, key, now);
      this.client = welcome.client;
      this.clients = countOf(payload.clients);
      return welcome;
    }
    this.received += 1;
    return eventEntry(event, key, this.client, now);
  }
}
