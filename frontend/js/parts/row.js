// One row of the feed, which shows one entry now and another later. All rows are of one height, so
// that their places are arithmetic; what doesn't fit is in the event's detail.

/** @import { Entry, EventEntry } from "../feed/entry.js" */
/** @import { View } from "../view.js" */
import { DEFAULT_TOPIC } from "../feed/entry.js";
import { localTime, wholeNumber } from "../feed/formats.js";
import { beginning } from "../feed/text.js";
import { badgeOf, toneOfEntry } from "../feed/tones.js";
import { find, setAttribute, setOutsideText, setText, stamp } from "./dom.js";

/** More than fits into a row on any screen; a message may be 64 KiB. */
const ROW_CHARACTERS = 400;
const ROW_MARKS = 3;

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
  const message = find(element, ".message");
  const meta = find(element, ".meta");
  const time = find(element, "time");
  badge.id = `row-${number}-type`;
  message.id = `row-${number}-text`;
  element.setAttribute("aria-labelledby", badge.id);
  element.setAttribute("aria-describedby", message.id);
  return { element, entry: null, show };

  /** @this {Row} @param {Entry} entry @param {View} view */
  function show(entry, view) {
    this.entry = entry;
    setAttribute(element, "data-kind", entry.kind);
    setAttribute(element, "data-tone", toneOfEntry(entry));
    setText(badge, badgeOf(entry));
    time.setAttribute("datetime", new Date(entry.time).toISOString());
    setText(time, localTime(entry.time, view.now, view.language));
    setOutsideText(message, beginning(entryText(entry, view), ROW_CHARACTERS), ROW_MARKS);
    setOutsideText(meta, notesOf(entry, view).join(" · "), ROW_MARKS);
  }
}

/** What an entry says in one go. @param {Entry} entry @param {View} view */
export function entryText(entry, { words, language }) {
  if (entry.kind === "event") return entry.message;
  if (entry.kind === "gap") {
    return words.gapTitle(entry.missed, wholeNumber(entry.missed, language));
  }
  const client = wholeNumber(entry.client, language);
  if (!entry.resumed) return words.welcome(client);
  return words.resumed(client) + words.caughtUp(entry.replayed, entry.whole);
}

/** @param {Entry} entry @param {View} view @returns {string[]} */
export function notesOf(entry, view) {
  if (entry.kind === "event") return eventNotes(entry, view);
  if (entry.kind === "welcome") return [];
  /** @type {Record<string, string>} */
  const reasons = view.words.gaps;
  const reason = Object.hasOwn(reasons, entry.reason) ? reasons[entry.reason] : entry.reason;
  if (entry.after === null) return [reason];
  return [reason, view.words.lastBefore(localTime(entry.after, view.now, view.language))];
}

/** @param {EventEntry} entry @param {View} view */
function eventNotes({ client, source, count, topic }, { words, language }) {
  return [
    client === null ? "" : words.clientNumber(String(client)),
    source && words.source(source),
    count === null ? "" : words.count(wholeNumber(count, language)),
    topic === DEFAULT_TOPIC ? "" : words.topic(topic),
  ].filter((note) => note !== "");
}
