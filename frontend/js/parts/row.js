// One row of the feed, which shows one entry now and another later. All rows are of one height, so
// that their places are arithmetic; what doesn't fit is in the event's detail.

/** @import { Entry, EventEntry } from "../feed/entry.js" */
/** @import { View } from "../view.js" */
import { DEFAULT_TOPIC } from "../feed/entry.js";
import { exactTime, localTime, wholeNumber } from "../feed/formats.js";
import { beginning } from "../feed/text.js";
import { badgeOf, toneOfEntry } from "../feed/tones.js";
import { find, setAttribute, setOutsideText, setText, span, stamp } from "./dom.js";

/** More than fits into a row on any screen; a message may be 64 KiB. */
const ROW_CHARACTERS = 400;
const ROW_MARKS = 2;
const DAY_MS = 86_400_000;

/**
 * @typedef {object} Row
 * @property {HTMLElement} element
 * @property {Entry | null} entry what it shows
 * @property {(entry: Entry, view: View) => void} show
 */

/** @param {number} number tells the rows' ids apart @returns {Row} */
export function makeRow(number) {
  const element = stamp("row");
  const badge = find(element, ".badge");
  const topic = find(element, ".topic");
  const message = find(element, ".message");
  const meta = find(element, ".meta");
  const time = find(element, "time");
  const severity = span("severity", "");
  badge.id = `row-${number}-type`;
  message.id = `row-${number}-text`;
  element.setAttribute("aria-labelledby", badge.id);
  element.setAttribute("aria-describedby", message.id);
  return { element, entry: null, show };

  /** @this {Row} @param {Entry} entry @param {View} view */
  function show(entry, view) {
    this.entry = entry;
    const isEvent = entry.kind === "event";
    setAttribute(element, "data-kind", entry.kind);
    setAttribute(element, "data-tone", toneOfEntry(entry));
    setText(badge, badgeOf(entry));
    setText(topic, isEvent && entry.topic !== DEFAULT_TOPIC ? entry.topic : "");
    time.setAttribute("datetime", new Date(entry.time).toISOString());
    setText(time, exactTime(entry.time, view.now, view.language));
    time.classList.toggle("dated", Math.abs(view.now - entry.time) > DAY_MS);
    setOutsideText(message, beginning(entryText(entry, view), ROW_CHARACTERS), ROW_MARKS);
    setOutsideText(meta, notesOf(entry, view).join(" · "), ROW_MARKS);
    if (isEvent && entry.level) {
      setAttribute(element, "data-level", entry.level);
      setOutsideText(severity, entry.severity, ROW_MARKS);
      message.prepend(severity, " ");
    } else element.removeAttribute("data-level");
  }
}

/** What an entry says in one go. @param {Entry} entry @param {View} view */
export function entryText(entry, { words, language }) {
  if (entry.kind === "event") return entry.message;
  if (entry.kind === "gap") {
    return words.gapTitle(entry.missed, wholeNumber(entry.missed, language));
  }
  if (entry.kind === "cut") return words.past.cut(entry.missed, wholeNumber(entry.missed, language));
  const client = entry.client === null ? "–" : String(entry.client);
  if (entry.opening) return words.opened(client);
  return words.resumed(client) + words.caughtUp(entry.replayed, entry.whole);
}

/** @param {Entry} entry @param {View} view @returns {string[]} */
export function notesOf(entry, view) {
  if (entry.kind === "event") return eventNotes(entry, view);
  if (entry.kind !== "gap") return [];
  /** @type {Record<string, string>} */
  const reasons = view.words.gaps;
  const reason = Object.hasOwn(reasons, entry.reason) ? reasons[entry.reason] : entry.reason;
  if (entry.after === null) return [reason];
  return [reason, view.words.lastBefore(localTime(entry.after, view.now, view.language))];
}

/** What is less asked for. @param {EventEntry} entry @param {View} view */
function eventNotes({ client, source, count }, { words, language }) {
  return [
    source,
    count === null ? "" : words.count(wholeNumber(count, language)),
    client === null ? "" : words.clientNumber(String(client)),
  ].filter((note) => note !== "");
}
