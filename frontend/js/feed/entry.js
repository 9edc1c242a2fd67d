// What the feed holds, read from what the stream delivers. Pure, and forgiving: an event that is
// not quite as the hub writes it is shown as well as can be, never dropped.

/** @import { ReceivedEvent } from "../../client/v1/protocol.js" */
import { countOf, readObject } from "../../client/v1/json.js";

/**
 * @typedef {object} EventEntry
 * @property {"event"} kind
 * @property {number} key counts the page's entries
 * @property {string} id
 * @property {string} type
 * @property {string} message
 * @property {number} time when it was published, milliseconds since 1970
 * @property {number} at when it arrived in this browser
 * @property {boolean} live whether it came as it was published; else it was sent again, or asked for later, and
 *   `at` says nothing
 * @property {"" | "warning" | "error"} level how serious its data says it is
 * @property {string} severity in the publisher's own word, where there is a level
 * @property {string} source "" when the event names none
 * @property {number | null} count
 * @property {string} topic
 * @property {number | null} client the number of the client that got it: this browser's stream
 * @property {string} raw the event's data as it came
 * @property {string} haystack what a search looks in; "" until the first one
 */

/**
 * The start of a stream: the hub's welcome.
 * @typedef {object} WelcomeEntry
 * @property {"welcome"} kind
 * @property {number} key
 * @property {string} type
 * @property {number} time
 * @property {number | null} client
 * @property {number | null} clients how many clients the hub had then
 * @property {boolean} resumed whether it asked to go on from where an earlier stream was cut
 * @property {number} replayed how many events follow that were missed meanwhile
 * @property {boolean} whole whether they are all of them; otherwise a gap follows
 * @property {string} id where in the log the stream goes on
 * @property {boolean} opening whether it is the first one of this page
 * @property {string} raw
 */

/**
 * Events that this page can't get any more.
 * @typedef {object} GapEntry
 * @property {"gap"} kind
 * @property {number} key
 * @property {string} type
 * @property {number} time when the page was told
 * @property {number | null} after when the last event before it was published, null if there is none
 * @property {string} reason "evicted", "restart" or "unknown" by the hub, "tab" by this browser
 * @property {number | null} missed null when nobody can know
 * @property {string} raw
 */

/**
 * Where the page left events out, because it keeps only so many: the hub has them.
 * @typedef {object} CutEntry
 * @property {"cut"} kind
 * @property {number} key
 * @property {string} type
 * @property {number} time
 * @property {number} missed
 * @property {string} raw
 */

/** @typedef {EventEntry | WelcomeEntry | GapEntry | CutEntry} Entry */

export const DEFAULT_TOPIC = "default";

/**
 * @param {ReceivedEvent} event
 * @param {number} key
 * @returns {EventEntry}
 */
export function eventEntry(event, key) {
  const payload = readObject(event.data) ?? { message: event.data };
  const severity = severityOf(payload.data);
  const level = levelOf(severity);
  return {
    kind: "event",
    key,
    id: event.id,
    type: event.type,
    message: textOf(payload.message),
    time: timeOf(payload.timestamp, event.at),
    at: event.at,
    live: !event.replayed,
    level,
    severity: level && severity,
    source: textOf(payload.source),
    count: countOf(payload.count),
    topic: textOf(payload.topic) || DEFAULT_TOPIC,
    client: event.client,
    raw: event.data,
    haystack: "",
  };
}

/**
 * @param {ReceivedEvent} event
 * @param {number} key
 * @returns {WelcomeEntry}
 */
export function welcomeEntry(event, key) {
  const payload = readObject(event.data) ?? {};
  return {
    kind: "welcome",
    key,
    type: event.type,
    time: timeOf(payload.timestamp, event.at),
    client: countOf(payload.id),
    clients: countOf(payload.clients),
    resumed: payload.resumed === true,
    replayed: countOf(payload.replayed) ?? 0,
    whole: payload.missed === 0,
    id: event.id,
    opening: false,
    raw: event.data,
  };
}

/**
 * @param {{data: string, at: number}} event
 * @param {number} key
 * @param {number | null} after
 * @returns {GapEntry}
 */
export function gapEntry(event, key, after) {
  const payload = readObject(event.data) ?? {};
  return {
    kind: "gap",
    key,
    type: "gap",
    time: event.at,
    after,
    reason: textOf(payload.reason),
    missed: countOf(payload.missed),
    raw: event.data,
  };
}

/** @param {number} missed @param {number} time @param {number} key @returns {CutEntry} */
export function cutEntry(missed, time, key) {
  return { kind: "cut", key, type: "cut", time, missed, raw: "" };
}

/** Longer than any word for a severity. */
const MOST_SEVERITY = 20;

/** What an event's data calls its severity. @param {unknown} data */
function severityOf(data) {
  const { severity, level } = /** @type {Record<string, unknown>} */ (data ?? {});
  const word = severity ?? level;
  return typeof word === "string" && word.length <= MOST_SEVERITY ? word : "";
}

// The words of syslog, of the usual loggers, of Prometheus and of OpenTelemetry; a number means something else to each.
const ERROR = /^(emerg|alert|crit|fatal|err|severe|page|high|major)/i;
const WARNING = /^(warn|minor|medium)/i;

/** @param {string} severity @returns {EventEntry["level"]} */
function levelOf(severity) {
  return ERROR.test(severity) ? "error" : WARNING.test(severity) ? "warning" : "";
}

/** @param {unknown} value a message that is no string is shown as the JSON that it was */
function textOf(value) {
  if (typeof value === "string") return value;
  return value === undefined || value === null ? "" : JSON.stringify(value);
}

/** @param {unknown} value @param {number} otherwise for an event that carries no time */
function timeOf(value, otherwise) {
  const time = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? otherwise : time;
}
