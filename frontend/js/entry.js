// What the feed holds, read from what the stream delivers. Pure, and forgiving: an event that is
// not quite as the hub writes it is shown as well as can be, never dropped.

/** @import { StreamEvent } from "./stream/parser.js" */
import { countOf, readObject } from "./stream/json.js";

/**
 * @typedef {object} EventEntry
 * @property {"event"} kind
 * @property {number} key counts the page's entries
 * @property {string} type
 * @property {string} message
 * @property {number} time milliseconds since 1970
 * @property {string} source "" when the event names none
 * @property {number | null} count
 * @property {string} topic "" for the default topic
 * @property {number | null} client the number of the client that got it: this page
 */

/**
 * The start of a stream: the hub's welcome.
 * @typedef {object} WelcomeEntry
 * @property {"welcome"} kind
 * @property {number} key
 * @property {number} time
 * @property {number | null} client
 * @property {boolean} resumed whether it asked to go on from where an earlier stream was cut
 * @property {number} replayed how many events follow that were missed meanwhile
 * @property {boolean} whole whether they are all of them; otherwise a gap follows
 */

/**
 * Events that this page can't get any more.
 * @typedef {object} GapEntry
 * @property {"gap"} kind
 * @property {number} key
 * @property {number} time
 * @property {string} reason "evicted", "restart" or "unknown"
 * @property {number | null} missed null when the hub can't know
 */

/** @typedef {EventEntry | WelcomeEntry | GapEntry} Entry */

export const DEFAULT_TOPIC = "default";

/**
 * @param {StreamEvent} event
 * @param {number} key
 * @param {number | null} client
 * @param {number} now used as the time of an event that carries none
 * @returns {EventEntry}
 */
export function eventEntry(event, key, client, now) {
  const payload = readObject(event.data) ?? { message: event.data };
  const topic = textOf(payload.topic);
  return {
    kind: "event",
    key,
    type: event.type,
    message: textOf(payload.message),
    time: timeOf(payload.timestamp, now),
    source: textOf(payload.source),
    count: countOf(payload.count),
    topic: topic === DEFAULT_TOPIC ? "" : topic,
    client,
  };
}

/**
 * @param {Record<string, unknown>} payload
 * @param {number} key
 * @param {number} now
 * @returns {WelcomeEntry}
 */
export function welcomeEntry(payload, key, now) {
  return {
    kind: "welcome",
    key,
    time: timeOf(payload.timestamp, now),
    client: countOf(payload.id),
    resumed: payload.resumed === true,
    replayed: countOf(payload.replayed) ?? 0,
    whole: payload.missed === 0,
  };
}

/**
 * @param {Record<string, unknown>} payload
 * @param {number} key
 * @param {number} now
 * @returns {GapEntry}
 */
export function gapEntry(payload, key, now) {
  return {
    kind: "gap",
    key,
    time: now,
    reason: textOf(payload.reason),
    missed: countOf(payload.missed),
  };
}

/** @param {unknown} value a message that is no string is shown as the JSON that it was */
function textOf(value) {
  if (typeof value === "string") return value;
  return value === undefined || value === null ? "" : JSON.stringify(value);
}

/** @param {unknown} value @param {number} now */
function timeOf(value, now) {
  const time = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? now : time;
}
