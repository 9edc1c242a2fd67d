// The end of the feed: whether there is more of the past, and a button that asks for it.

/** @import { Component, View } from "../view.js" */
import { isEverything } from "../feed/filter.js";
import { shortTime } from "../feed/formats.js";
import { find, setText } from "./dom.js";

/** @param {HTMLElement} root @param {() => void} loadEarlier @returns {Component} */
export function mountFeedEnd(root, loadEarlier) {
  const text = find(root, ".feed-end-text");
  const button = find(root, "[data-act=earlier]");
  button.addEventListener("click", loadEarlier);

  return {
    update(view) {
      const { past, words } = view;
      const isEmpty = view.reading.events === 0 && !view.facts?.history?.events && past.state === "idle";
      setText(text, textOf(view, isEmpty));
      button.hidden = isEmpty || past.done || past.state === "loading";
      const isSearch = past.searchedTo !== null && past.entries.length === 0;
      setText(button, past.state === "failed" ? words.past.again : isSearch ? words.past.further : words.past.earlier);
    },
  };
}

/** @param {View} view @param {boolean} isEmpty */
function textOf({ past, reading, words, language, now }, isEmpty) {
  if (isEmpty) return "";
  if (past.state === "loading") return words.past.loading;
  if (past.state === "failed") return words.past.failed;
  if (past.done) {
    if (reading.events === 0) return isEverything(reading.filter) ? "" : words.past.none;
    return isEverything(reading.filter) ? words.past.oldest : words.past.none;
  }
  if (isEverything(reading.filter) || past.searchedTo === null) return "";
  return words.past.searched(shortTime(past.searchedTo, now, language));
}
