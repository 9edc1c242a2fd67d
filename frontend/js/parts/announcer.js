// What a screen reader is told, politely: the connection at once, what a filter finds when it settles,
// new events at most every 8 s. The feed itself is no live region: at a few events a second it would
// never fall silent.

/** @import { Component, View } from "../view.js" */
import { visible } from "../feed/text.js";
import { badgeOf } from "../feed/tones.js";
import { summaryOf } from "./filter-bar.js";
import { entryText } from "./row.js";
import { lookOf, reasonOf } from "./status-text.js";

const EVERY_MS = 8_000;
/** Nobody wants to be told of each letter that is typed into the search. */
const SETTLED_MS = 700;

/** @param {HTMLElement} root @returns {Component} */
export function mountAnnouncer(root) {
  let state = "";
  /** @type {View["reading"]["filter"] | null} */
  let filter = null;
  let filteredAt = Infinity;
  let paused = false;
  let received = 0;
  let spokeAt = 0;

  return {
    update(view) {
      if (view.reading.filter !== filter) {
        filteredAt = filter ? view.now : Infinity;
        filter = view.reading.filter;
      }
      const text = textOf(view);
      if (text === "") return;
      root.textContent = visible(text);
      spokeAt = view.now;
    },
  };

  /** @param {View} view @returns {string} "" when nothing is to be said now */
  function textOf(view) {
    const look = lookOf(view.stream);
    if (state !== look + view.language) {
      state = look + view.language;
      return `${view.words.phases[look]}. ${reasonOf(view)}`;
    }
    if (view.now - filteredAt >= SETTLED_MS || view.paused !== paused) {
      filteredAt = Infinity;
      paused = view.paused;
      return summaryOf(view);
    }
    if (view.paused || view.feed.received === received || view.now - spokeAt < EVERY_MS) return "";
    const count = view.feed.received - received;
    received = view.feed.received;
    return newsOf(view, count);
  }
}

/** @param {View} view @param {number} count */
function newsOf(view, count) {
  const latest = view.feed.latest;
  if (!latest) return "";
  return view.words.newEvents(count, `${badgeOf(latest)}, ${entryText(latest, view).slice(0, 300)}`);
}
