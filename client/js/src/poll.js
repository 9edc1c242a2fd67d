// Long polls: the same log by plain requests, for where a proxy or a scanner holds streams back. What
// an answer holds is made into events, as a stream would bring them.

/** @import { StreamEvent } from "./parser.js" */
/** @import { World } from "./requests.js" */
import { before } from "./cursor.js";
import { countOf, readObject } from "./json.js";
import { JSON_TEXT, lost, refusalOf } from "./requests.js";

/** How long the hub may hold a request that finds nothing. */
export const WAIT_S = 25;
/** What only a stream knows: the rest of its address, such as topics and a ticket, is a poll's too. */
const OF_STREAMS = ["last", "last_per_topic", "last_event_id", "presence"];
const PAGE_EVENTS = "1000";

/**
 * @typedef {object} Page one answer
 * @property {StreamEvent[]} events as a stream would have brought them, a welcome and a gap too
 * @property {string} cursor what to ask after next
 * @property {boolean} isLast whether nothing comes after it: all topics that were asked for have ended
 */

/**
 * The address of the next poll of a stream.
 * @param {string} streamUrl absolute
 * @param {string} after the last event ID, or "" where there is none yet
 * @param {number} waitS
 */
export function pollUrl(streamUrl, after, waitS) {
  const asked = new URL(streamUrl).searchParams;
  const url = new URL("api/history", streamUrl);
  for (const [name, value] of asked) if (!OF_STREAMS.includes(name)) url.searchParams.append(name, value);
  const from = after || asked.get("last_event_id");
  const perTopic = asked.get("last_per_topic");
  if (from) {
    url.searchParams.set("after", from);
    if (waitS > 0) url.searchParams.set("wait", String(waitS));
  } else if (perTopic) url.searchParams.set("last_per_topic", perTopic);
  // The newest page must have at least one event, also where none is wanted.
  const most = from || perTopic ? PAGE_EVENTS : String(Math.min(Number(asked.get("last") ?? 1), 1_000));
  url.searchParams.set("limit", most);
  return url.href;
}

/**
 * Reads an answer.
 * @param {string} text
 * @param {string} streamUrl
 * @param {string} after as in pollUrl
 * @param {boolean} isFirst whether the polls begin with it
 * @returns {Page | null} null when it isn't the hub's
 */
export function readPage(text, streamUrl, after, isFirst) {
  const { events, gap, cursor, ended, more } = readObject(text) ?? {};
  if (typeof cursor !== "string" || !Array.isArray(events)) return null;
  const asked = new URL(streamUrl).searchParams;
  const isState = after !== "" || asked.has("last_event_id") || asked.has("last") || asked.has("last_per_topic");
  const published = isState ? events.map(eventOf) : [];
  const isLast = ended === true && more !== true;
  const ends = isLast ? asked.getAll("topic").map((topic) => ownEvent("end", { topic, id: cursor }, cursor)) : [];
  if (!isFirst && !gap) return { events: [...published, ...ends], cursor, isLast };
  const missed = gap ? countOf(/** @type {{missed?: unknown}} */ (gap).missed) : 0;
  const data = { id: null, resumed: after !== "", replayed: published.length, missed, heartbeat: 0, polling: true };
  // Who is cut off before the first event goes on from here.
  const id = after && !gap ? after : published.length > 0 ? before(published[0].id) : cursor;
  const begun = [ownEvent("connection", data, id)];
  if (gap) begun.push(ownEvent("gap", gap, id));
  return { events: [...begun, ...published, ...ends], cursor, isLast };
}

/** @param {{id: string, type: string, data: unknown}} event as the history has it @returns {StreamEvent} */
function eventOf({ id, type, data }) {
  return { type, data: JSON.stringify(data), id, ownId: true };
}

/**
 * What a stream would have said by itself.
 * @param {string} type @param {object} data @param {string} id
 * @returns {StreamEvent}
 */
function ownEvent(type, data, id) {
  return { type, data: JSON.stringify(data), id, ownId: type === "connection" };
}

/**
 * Asks for what is next; fails as fetch does.
 * @param {{url: string, lastEventId: string, world: World}} stream whose polls these are
 * @param {boolean} isFirst @param {number} waitS @param {AbortSignal} signal
 */
export async function askPage({ url, lastEventId, world }, isFirst, waitS, signal) {
  const response = await world.fetch(pollUrl(url, lastEventId, waitS), { signal, cache: "no-store" }).catch(lost);
  const refusal = await refusalOf(response, JSON_TEXT);
  const page = refusal ? null : readPage(await response.text().catch(lost), url, lastEventId, isFirst);
  return { response, refusal, page };
}
