// A colour for each event type, as the name of a tone that tokens.css defines. Pure.

/** @import { Entry } from "./entry.js" */

/** The types that the form offers, in its order. */
export const TYPES = /** @type {const} */ ([
  "user_joined",
  "message_received",
  "system_alert",
  "data_updated",
  "notification",
]);

const OTHER_TONES = ["cyan", "pink", "lime", "orange"];

/** @type {Record<string, string>} */
const TONES = {
  user_joined: "green",
  message_received: "blue",
  system_alert: "red",
  data_updated: "violet",
  notification: "amber",
};

/** A type that nobody foresaw keeps one colour too: its letters choose it. @param {string} type */
export function toneOf(type) {
  if (Object.hasOwn(TONES, type)) return TONES[type];
  let sum = 0;
  for (const letter of type) sum = (sum * 31 + /** @type {number} */ (letter.codePointAt(0))) % 9973;
  return OTHER_TONES[sum % OTHER_TONES.length];
}

/** @param {Entry} entry */
export function toneOfEntry(entry) {
  if (entry.kind === "event") return toneOf(entry.type);
  return entry.kind === "gap" ? "amber" : "grey";
}

/** The word in an entry's badge: the type, as the stream names it; no publisher can use the hub's own. @param {Entry} entry */
export function badgeOf(entry) {
  return entry.type;
}
