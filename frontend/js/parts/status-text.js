// The state of the connection in words: what it is, why, and what comes next. Pure.

/** @import { Cause } from "../../client/v1/stream.js" */
/** @import { Words } from "../words/fr.js" */
/** @import { View } from "../view.js" */
import { localTime, secondsUntil } from "../feed/formats.js";

/** @typedef {"connecting" | "live" | "stalled" | "waiting" | "refused" | "offline" | "stopped"} Look */

// Not "draining": a hub that stops or restarts refuses nobody, it is waited for.
const REFUSALS = ["http", "format", "full", "busy"];

/**
 * How the state looks: a wait has three faces, by what it waits for.
 * @param {View["stream"]} stream
 * @returns {Look}
 */
export function lookOf({ phase, cause }) {
  if (phase !== "waiting" || !cause) return phase;
  if (cause.code === "offline") return "offline";
  return REFUSALS.includes(cause.code) ? "refused" : "waiting";
}

/** Whether another key could help. @param {Cause | null} cause */
export function isForWantOfRights(cause) {
  return cause?.code === "http" && (cause.status === 401 || cause.status === 403);
}

/** Why, in a sentence that stands still: it is also what a screen reader says. @param {View} view */
export function reasonOf({ stream, feed, rights, words, language, now }) {
  if (stream.phase === "live") {
    const client = feed.client === null ? "" : String(feed.client);
    const shared = stream.tabs > 1 ? words.sharedBy(stream.tabs) : "";
    const polling = stream.transport === "poll" ? words.polling : "";
    return words.liveSince(localTime(stream.since, now, language), client) + polling + shared;
  }
  if (stream.phase === "connecting") return words.opening;
  const everywhere = stream.cause?.code === "user" && stream.tabs > 1 ? words.forAllTabs : "";
  if (stream.cause?.status === 401 && rights?.refused) return words.access.refused;
  return stream.cause ? causeText(stream.cause, words) + everywhere : "";
}

/** The countdown, apart because it changes each second. @param {View} view */
export function nextTryOf({ stream, words, now }) {
  return stream.retryAt === null ? "" : words.nextTry(secondsUntil(stream.retryAt, now));
}

/** @param {Cause} cause @param {Words} words */
function causeText(cause, words) {
  if (cause.code !== "http") return words.causes[cause.code];
  // The hub gives a reason with each refusal; who gives none is in front of it.
  if (cause.detail && cause.status === 401) return words.causes.unauthorized; // the page says what to do about it
  if (!cause.detail) return words.causes.proxy(cause.status ?? 0);
  return words.causes.http(cause.status ?? 0, cause.detail.replace(/\.$/, ""));
}
