// The feed on the page: newest first, a window of rows over thousands of entries. It scrolls with
// the page, and tells whether somebody reads further down, so that the view is to be held.

/** @import { Entry } from "../feed/entry.js" */
/** @import { Component, View } from "../view.js" */
import { find, setAttribute } from "./dom.js";
import { RowWindow } from "./row-window.js";

/** Rows beyond the edges, ready before they are scrolled to. */
const SPARE = 3;
/** So few rows before the end of the list, more of the past is asked for. */
const NEAR_END = 100;

/**
 * @typedef {object} FeedList
 * @property {() => boolean} isAway whether it is scrolled, or the keyboard is in it
 * @property {() => void} toTop
 * @property {(step: 1 | -1) => void} step moves the focus by a row, into the feed if it is elsewhere
 * @property {() => void} toGap moves the focus to the next gap
 * @property {(rows: number) => void} shift keeps what is seen in its place when so many rows came before it
 */

/**
 * @param {HTMLElement} root
 * @param {{open: (entry: Entry) => void, repaint: () => void, nearEnd: () => void}} actions
 * @returns {Component & FeedList}
 */
export function mountFeed(root, actions) {
  const list = find(root, "[role=feed]");
  const head = find(root, ".feed-head");
  const rows = new RowWindow(list);
  let rowHeight = 68;
  /** @type {View | undefined} */
  let latest;

  list.addEventListener("click", openRow);
  list.addEventListener("keydown", takeKey);
  return { update, isAway, toTop, step, toGap, shift };

  /** @param {View} view */
  function update(view) {
    latest = view;
    const { size } = view.reading;
    const top = Math.max(0, Math.floor(hiddenHeight() / rowHeight));
    paint(Math.max(0, Math.min(top - SPARE, size - 1)), view);
    rows.setTabStop(top);
    setAttribute(list, "aria-busy", String(size === 0));
    if (top > 0 && size - top - rows.rows.length < NEAR_END) actions.nearEnd();
  }

  /** @param {number} first @param {View} view */
  function paint(first, view) {
    const { size } = view.reading;
    const count = Math.min(size - first, Math.ceil(innerHeight / rowHeight) + 2 * SPARE);
    const isFirst = rows.rows.length === 0;
    rows.show(first, count, view);
    if (isFirst) hiddenHeight(); // the first rows tell how high rows are
    list.style.height = `${size * rowHeight}px`;
    list.style.paddingTop = `${first * rowHeight}px`;
  }

  /** How much of the list is above the visible part, in px. */
  function hiddenHeight() {
    if (rows.rows.length === 0) return 0;
    rowHeight = rows.rows[0].element.getBoundingClientRect().height || rowHeight; // by screen width and text size
    const bounds = head.getBoundingClientRect();
    const stuck = getComputedStyle(head).position === "sticky" ? bounds.bottom : 0;
    return stuck - list.getBoundingClientRect().top - list.clientTop;
  }

  function isAway() {
    if (list.querySelector(":focus-visible")) return true;
    return hiddenHeight() > rowHeight / 2;
  }

  function toTop() {
    if (list.contains(document.activeElement)) list.focus({ preventScroll: true });
    const hidden = hiddenHeight();
    if (hidden > 0) scrollBy({ top: -hidden, behavior: "instant" });
    actions.repaint();
  }

  /** @param {MouseEvent} event */
  function openRow(event) {
    const row = rows.rowOf(/** @type {Element} */ (event.target));
    if (!row?.entry || getSelection()?.isCollapsed === false) return; // selecting text is not a click
    actions.open(row.entry);
  }

  /** The keys that the ARIA feed pattern names, and those of lists. @param {KeyboardEvent} event */
  function takeKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const rank = rows.rankOf(document.activeElement);
    const last = (latest?.reading.size ?? 0) - 1;
    /** @type {Record<string, number>} */
    const targets = { ArrowDown: rank + 1, PageDown: rank + 1, ArrowUp: rank - 1, PageUp: rank - 1, Home: 0, End: last };
    const entry = rows.rowAt(rank)?.entry;
    if (event.key === "Enter" && entry) actions.open(entry);
    else if (event.key in targets) focusRank(targets[event.key]);
    else return;
    event.preventDefault();
  }

  /** @param {1 | -1} by */
  function step(by) {
    const rank = rows.rankOf(document.activeElement);
    focusRank(rank < 0 ? Math.max(0, Math.ceil(hiddenHeight() / rowHeight)) : rank + by);
  }

  function toGap() {
    if (latest) focusRank(latest.reading.gapAfter(rows.rankOf(document.activeElement)));
  }

  /** @param {number} by */
  function shift(by) {
    if (by !== 0 && isAway()) scrollBy({ top: by * rowHeight, behavior: "instant" });
  }

  /** @param {number} rank */
  function focusRank(rank) {
    if (!latest || rank < 0 || rank >= latest.reading.size) return;
    latest.reading.hold(Date.now()); // before the next event moves what is about to be read
    reveal(rank);
    update(latest);
    const row = rows.rowAt(rank)?.element;
    row?.focus({ preventScroll: true });
    rows.setTabStop(rank);
  }

  /** Scrolls by no more than it takes to see a row in full. @param {number} rank */
  function reveal(rank) {
    const top = rank * rowHeight - hiddenHeight();
    const room = innerHeight - (hiddenHeight() + list.getBoundingClientRect().top + list.clientTop) - rowHeight;
    // A window scrolls by whole pixels.
    if (top < 0) scrollBy({ top: Math.floor(top), behavior: "instant" });
    else if (top > room) scrollBy({ top: Math.ceil(top - room), behavior: "instant" });
  }
}
