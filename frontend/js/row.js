// One entry of the feed as an article. An entry never changes, so neither does its row.

/** @import { Entry, EventEntry } from "./entry.js" */
/** @import { Words } from "./languages.js" */
/** @import { View } from "./view.js" */
import { find, setOutsideText, setText, stamp } from "./dom.js";
import { localTime, wholeNumber } from "./formats.js";
import { badgeOf, toneOfEntry } from "./tones.js";

/** Texts longer than this are folded; a message may be 64 KiB. */
const LONG_CHARACTERS = 600;
const LONG_LINES = 8;

/** @param {Entry} entry @param {View} view @returns {HTMLElement} */
export function makeRow(entry, view) {
  const row = stamp("row");
  row.dataset.kind = entry.kind;
  row.dataset.tone = toneOfEntry(entry);
  const badge = find(row, ".badge");
  const message = find(row, ".message");
  badge.id = `entry-${entry.key}-type`;
  message.id = `entry-${entry.key}-text`;
  row.setAttribute("aria-labelledby", badge.id);
  row.setAttribute("aria-describedby", message.id);
  setOutsideText(badge, badgeOf(entry));
  setTime(find(row, "time"), entry.time, view);
  setOutsideText(message, entryText(entry, view));
  find(row, ".meta").replaceChildren(...notesOf(entry, view).map(makeNote));
  foldIfLong(row, message, view.words);
  return row;
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
function notesOf(entry, view) {
  if (entry.kind === "event") return eventNotes(entry, view);
  if (entry.kind === "welcome") return [];
  /** @type {Record<string, string>} */
  const reasons = view.words.gaps;
  return [Object.hasOwn(reasons, entry.reason) ? reasons[entry.reason] : entry.reason];
}

/** @param {EventEntry} entry @param {View} view */
function eventNotes({ client, source, count, topic }, { words, language }) {
  return [
    client === null ? "" : words.clientNumber(String(client)),
    source && words.source(source),
    count === null ? "" : words.count(wholeNumber(count, language)),
    topic && words.topic(topic),
  ].filter((note) => note !== "");
}

/** @param {string} text */
function makeNote(text) {
  const note = document.createElement("li");
  setOutsideText(note, text);
  return note;
}

/** @param {HTMLElement} element @param {number} time @param {View} view */
function setTime(element, time, { now, language }) {
  element.setAttribute("datetime", new Date(time).toISOString());
  setText(element, localTime(time, now, language));
}

/** @param {HTMLElement} row @param {HTMLElement} message @param {Words} words */
function foldIfLong(row, message, words) {
  /** @type {HTMLButtonElement} */
  const more = find(row, ".more");
  const text = message.textContent ?? "";
  more.hidden = text.length <= LONG_CHARACTERS && text.split("\n").length <= LONG_LINES;
  if (more.hidden) return;
  message.classList.add("folded");
  setText(more, words.page.more);
  more.addEventListener("click", () => {
    message.classList.remove("folded");
    more.hidden = true;
    row.focus();
  });
}
