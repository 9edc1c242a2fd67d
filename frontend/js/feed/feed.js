// What the page knows: the newest entries and the numbers. It grows by one event at a time,
// and knows no document and no network.

/** @import { Entry, EventEntry } from "./entry.js" */
/** @import { ReceivedEvent } from "../../client/v1/protocol.js" */
import { countOf, readObject } from "../../client/v1/json.js";
import { Deque } from "./deque.js";
import { eventEntry, gapEntry, welcomeEntry } from "./entry.js";

export const KEPT_ENTRIES = 20_000;
/** Of the events' data; whichever limit binds first. */
export const KEPT_CHARACTERS = 16_000_000;
/** How many different names are offered as choices: a stream may hold any number of them. */
const OFFERED = { type: 20, source: 10, topic: 20 };

export class Feed {
  constructor(capacity = KEPT_ENTRIES, characters = KEPT_CHARACTERS) {
    this.capacity = capacity;
    this.mostCharacters = characters;
    /** @type {Deque<Entry>} */
    this.entries = new Deque();
    this.characters = 0;
    /** Published events that it was given, and how many of them it has let go again. */
    this.taken = 0;
    this.letGo = 0;
    /** How many of them came while the page was open. */
    this.received = 0;
    /** How many had come when the hub last told of its history. */
    this.receivedThen = 0;
    /** The newest event. @type {EventEntry | null} */
    this.latest = null;
    /** Where in the log the last stream began. */
    this.cursor = "";
    /** @type {number | null} this page's number at the hub */
    this.client = null;
    /** @type {number | null} how many clients the hub has */
    this.clients = null;
    /** When the newest event was published: what a gap comes after. @type {number | null} */
    this.lastTime = null;
    /** The names seen so far, to choose from. */
    this.seen = {
      type: /** @type {Set<string>} */ (new Set()),
      source: /** @type {Set<string>} */ (new Set()),
      topic: /** @type {Set<string>} */ (new Set()),
    };
  }

  /** The key of the oldest entry kept; those with lower ones are gone. */
  get oldestKey() {
    return this.entries.first;
  }

  /**
   * Takes the next event of the stream.
   * @param {ReceivedEvent} event
   * @returns {Entry | null} what it added; null for an event that only changes a number
   */
  take(event) {
    if (event.type === "presence") {
      this.clients = countOf(readObject(event.data)?.clients) ?? this.clients;
      return null;
    }
    return this.keep(this.entryOf(event));
  }

  /** How many events are kept. */
  get events() {
    return this.taken - this.letGo;
  }

  /** The oldest event that is kept, if there is any. @returns {EventEntry | undefined} */
  get oldestEvent() {
    const { entries } = this;
    for (let number = entries.first; number < entries.end; number += 1) {
      const entry = entries.at(number);
      if (entry.kind === "event") return entry;
    }
    return undefined;
  }

  /**
   * Marks the place of events that this browser had, but let go before this tab took them.
   * @param {number} missed
   * @param {number} at milliseconds since 1970
   */
  takeLoss(missed, at) {
    const data = JSON.stringify({ reason: "tab", missed });
    return this.keep(gapEntry({ data, at }, this.entries.end, this.lastTime));
  }

  /** @param {Entry} entry */
  keep(entry) {
    this.entries.append(entry);
    this.characters += entry.raw.length;
    while (this.isFull) this.dropOldest();
    return entry;
  }

  get isFull() {
    const { size } = this.entries; // one event alone is always kept
    return size > this.capacity || (this.characters > this.mostCharacters && size > 1);
  }

  dropOldest() {
    const entry = this.entries.shift();
    this.characters -= entry.raw.length;
    if (entry.kind === "event") this.letGo += 1;
  }

  /** @param {ReceivedEvent} event @returns {Entry} */
  entryOf(event) {
    const key = this.entries.end;
    if (event.type === "gap") return gapEntry(event, key, this.lastTime);
    if (event.type === "connection") {
      const welcome = welcomeEntry(event, key);
      this.client = welcome.client;
      this.clients = welcome.clients;
      this.cursor = welcome.id;
      return welcome;
    }
    const entry = eventEntry(event, key);
    this.taken += 1;
    this.lastTime = entry.time;
    this.latest = entry;
    this.offer("type", entry.type);
    this.offer("source", entry.source);
    this.offer("topic", entry.topic);
    return entry;
  }

  /** @param {keyof typeof OFFERED} field @param {string} name */
  offer(field, name) {
    const names = this.seen[field];
    if (name !== "" && names.size < OFFERED[field]) names.add(name);
  }
}
