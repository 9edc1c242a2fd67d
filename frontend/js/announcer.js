// What a screen reader is told, politely: the connection at once, new events at most every 8 s.
// The feed itself is no live region: at a few events a second it would never fall silent.

/** @import { Component, View } from "./view.js" */
import { entryText } from "./row.js";
import { lookOf, reasonOf } from "./status-text.js";
import { badgeOf } from "./tones.js";
import { visible } from "./text.js";

const EVERY_MS = 8_000;

/** @param {HTMLElement} root @returns {Component} */
export function mountAnnouncer(root) {
  let state = "";
  let received = 0;
  let spokeAt = 0;

  return {
    update(view) {
      const look = lookOf(view.stream);
      if (state !== look + view.language) {
        state = look + view.language;
        root.textContent = visible(`${view.words.phases[look]}. ${reasonOf(view)}`);
        spokeAt = view.now;
      } else if (view.feed.received > received && view.now - spokeAt >= EVERY_MS) {
        root.textContent = newsOf(view, view.feed.received - received);
        received = view.feed.received;
        spokeAt = view.now;
      }
    },
  };
}

/** @param {View} view @param {number} count */
function newsOf(view, count) {
  const [latest] = view.feed.entries.newest(1);
  return view.words.newEvents(count, visible(`${badgeOf(latest)}, ${entryText(latest, view)}`));
}
