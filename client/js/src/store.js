// What a tab that comes later gets: the newest events as they came, bounded by count and by memory.
// Things stand at positions, which count up for ever; a tab is a position. Pure.

/** @import { StreamEvent } from "./parser.js" */
/** @import { ReceivedEvent, Recent } from "./protocol.js" */
import { alreadySeen, isOlder } from "./cursor.js";
import { readObject } from "./json.js";

export const MOST_EVENTS = 20_000;
export const MOST_BYTES = 16 * 2 ** 20;

/**
 * What an event takes beside its texts, in bytes: the object, the heads of its texts, and the rest of
 * the piece of the stream that they are cut from, which stays as long as they do. Measured.
 */
const OVERHEAD_BYTES = 320;

export class Store {
  /** @param {string} start where the log is read from, "" for the head, which the welcome will tell */
  constructor(start, mostEvents = MOST_EVENTS, mostBytes = MOST_BYTES) {
    this.mostEvents = mostEvents;
    this.mostBytes = mostBytes;
    /** @type {(ReceivedEvent | undefined)[]} the thing at position p is in slot p modulo `mostEvents` */
    this.slots = [];
    /** Positions of the oldest thing kept, and of the one that comes next. */
    this.first = 0;
    this.end = 0;
    this.bytes = 0;
    this.start = start;
    /** The cursor just before the oldest thing kept: who reads the log from there gets all that is here. */
    this.floor = start;
    /** Published events taken since the beginning, and how many of them are no longer kept. */
    this.received = 0;
    this.dropped = 0;
  }

  /** Takes the next thing; the oldest ones make room for it. @param {ReceivedEvent} event */
  append(event) {
    if (this.end === 0 && this.floor === "") this.floor = event.id;
    while (this.first < this.end && !this.hasRoomFor(event)) this.evict();
    this.slots[this.end % this.mostEvents] = event;
    this.end += 1;
    this.bytes += sizeOf(event);
    if (isPublished(event)) this.received += 1;
  }

  /** @param {ReceivedEvent} event */
  hasRoomFor(event) {
    return this.end - this.first < this.mostEvents && this.bytes + sizeOf(event) <= this.mostBytes;
  }

  evict() {
    const oldest = this.at(this.first);
    this.slots[this.first % this.mostEvents] = undefined;
    this.first += 1;
    this.bytes -= sizeOf(oldest);
    this.floor = oldest.id;
    if (isPublished(oldest)) this.dropped += 1;
  }

  /** @param {number} position of a thing that is kept @returns {ReceivedEvent} */
  at(position) {
    return /** @type {ReceivedEvent} */ (this.slots[position % this.mostEvents]);
  }

  /**
   * The next things, not more than fit.
   * @param {number} position not below `first`
   * @param {number} mostEvents
   * @param {number} mostBytes one thing is given even if it is larger
   */
  read(position, mostEvents, mostBytes) {
    /** @type {ReceivedEvent[]} */
    const events = [];
    let room = mostBytes;
    for (let at = position; at < this.end && events.length < mostEvents; at += 1) {
      const event = this.at(at);
      room -= sizeOf(event);
      if (room < 0 && events.length > 0) break;
      events.push(event);
    }
    return events;
  }

  /**
   * Where somebody goes on who has everything up to an event.
   * @param {string} id the last event that they have
   * @returns {number | null} null when what they lack begins before what is kept, or nobody can know
   */
  positionAfter(id) {
    for (let position = this.end; position > this.first; position -= 1) {
      const event = this.at(position - 1);
      if (event.ownId && alreadySeen(id, event.id)) return position;
    }
    return alreadySeen(id, this.floor) ? this.first : null;
  }

  /**
   * What a new stream would begin with, of what is kept: the newest events, or those of each topic.
   * @param {Recent} recent
   * @returns {ReceivedEvent[] | null} null when some of it may never have been here, or be gone
   */
  recent({ last, lastPerTopic }) {
    if (this.start !== "" || this.dropped > 0) return null;
    const most = lastPerTopic ?? last ?? 0;
    /** @type {Map<unknown, number>} */
    const counts = new Map();
    /** @param {ReceivedEvent} event */
    const isRecent = (event) => topicsOf(event, lastPerTopic).filter((topic) => count(counts, topic) <= most).length > 0;
    const published = this.read(this.first, Infinity, Infinity).filter(isPublished);
    return published.reverse().filter(isRecent).reverse();
  }

  /** Whether the log has events between that ID and what was ever kept here. @param {string} id */
  beginsAfter(id) {
    return this.dropped === 0 && isOlder(id, this.floor);
  }
}

/** Whether a publisher made it; the others are the hub's own. @param {StreamEvent} event */
export function isPublished(event) {
  return event.ownId && event.type !== "connection";
}

/** Memory that an event takes at most, in bytes: texts have up to two a character. @param {ReceivedEvent} event */
function sizeOf(event) {
  return 2 * (event.data.length + event.type.length + event.id.length) + OVERHEAD_BYTES;
}

/** What it is counted under. @param {ReceivedEvent} event @param {unknown} perTopic @returns {unknown[]} */
function topicsOf(event, perTopic) {
  if (perTopic === undefined) return [""];
  const { topic, topics } = readObject(event.data) ?? {};
  return Array.isArray(topics) ? topics : [topic];
}

/** Counts one more. @param {Map<unknown, number>} counts @param {unknown} name */
function count(counts, name) {
  const sum = (counts.get(name) ?? 0) + 1;
  counts.set(name, sum);
  return sum;
}
