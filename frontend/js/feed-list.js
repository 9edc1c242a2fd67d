// The feed on the page: newest first, a row per entry, and never more than 200 of them.

/** @import { Component, View } from "./view.js" */
import { find, setText } from "./dom.js";
import { wholeNumber } from "./formats.js";
import { makeRow } from "./row.js";

export const MOST_ROWS = 200;

/** @param {HTMLElement} root @returns {Component} */
export function mountFeed(root) {
  const list = find(root, "[role=feed]");
  const empty = find(root, ".empty");
  const summary = find(root, ".feed-summary");
  let painted = 0; // how many entries were ever painted: the key of the next one
  let language = "";
  list.addEventListener("keydown", moveFocus);

  return {
    update(view) {
      if (language !== view.language) {
        language = view.language;
        list.replaceChildren();
        painted = 0;
      }
      painted = paintNew(list, painted, view);
      paintPlaceholder(empty, view);
      list.setAttribute("aria-busy", String(list.childElementCount === 0));
      setText(summary, summaryOf(view));
    },
  };
}

/**
 * Adds what came since, in one go, and lets as many old rows go.
 * @param {HTMLElement} list
 * @param {number} painted
 * @param {View} view
 * @returns {number} the new `painted`
 */
function paintNew(list, painted, view) {
  const { entries } = view.feed;
  const fresh = entries.newest(Math.min(entries.written - painted, MOST_ROWS));
  if (fresh.length === 0) return painted;
  list.prepend(...fresh.map((entry) => makeRow(entry, view)));
  while (list.childElementCount > MOST_ROWS) dropLast(list);
  holdOneTabStop(list);
  return entries.written;
}

/** @param {HTMLElement} empty @param {View} view */
function paintPlaceholder(empty, { feed, stream, words }) {
  const stopped = stream.phase === "stopped";
  empty.hidden = feed.received > 0;
  setText(find(empty, ".empty-title"), stopped ? words.stoppedTitle : words.waitingTitle);
  setText(find(empty, ".empty-text"), stopped ? words.stoppedText : words.waitingText);
}

/** @param {HTMLElement} list */
function dropLast(list) {
  const last = list.lastElementChild;
  const hadFocus = last?.contains(document.activeElement);
  last?.remove();
  if (hadFocus) focusRow(list, list.lastElementChild);
}

/** @param {View} view */
function summaryOf({ feed, words, language }) {
  if (feed.entries.written <= MOST_ROWS) return words.page.newestFirst;
  return words.shown(wholeNumber(MOST_ROWS, language));
}

/**
 * The keys that the ARIA feed pattern names: Page Down and Page Up walk the articles.
 * @param {KeyboardEvent} event
 */
function moveFocus(event) {
  const list = /** @type {HTMLElement} */ (event.currentTarget);
  const row = /** @type {Element} */ (event.target).closest("article");
  const step = { PageDown: row?.nextElementSibling, PageUp: row?.previousElementSibling };
  const target = step[/** @type {keyof step} */ (event.key)];
  if (!target) return;
  event.preventDefault();
  focusRow(list, target);
}

/** @param {HTMLElement} list @param {Element | null} row */
function focusRow(list, row) {
  if (!(row instanceof HTMLElement)) return;
  list.querySelector("article[tabindex='0']")?.setAttribute("tabindex", "-1");
  row.tabIndex = 0;
  row.focus();
}

/** One row is reached by Tab, so that two hundred don't stand in the way. @param {HTMLElement} list */
function holdOneTabStop(list) {
  const stops = list.querySelectorAll("article[tabindex='0']");
  if (stops.length === 1 && stops[0].contains(document.activeElement)) return;
  for (const stop of stops) stop.setAttribute("tabindex", "-1");
  list.firstElementChild?.setAttribute("tabindex", "0");
}
