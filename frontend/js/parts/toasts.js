// Toasts: what just arrived, for three seconds. For the eye only: the announcer speaks.

/** @import { Notices } from "../feed/notices.js" */
/** @import { Component, View } from "../view.js" */
import { beginning } from "../feed/text.js";
import { badgeOf, toneOfEntry } from "../feed/tones.js";
import { find, setOutsideText, setText, stamp } from "./dom.js";
import { entryText } from "./row.js";

/** One line is shown; more would only cost time in a burst. */
const MOST_CHARACTERS = 200;
const MOST_MARKS = 3;

/** @param {HTMLElement} root @returns {Component} */
export function mountToasts(root) {
  const more = find(root, ".toast-more");
  /** @type {Map<number, HTMLElement>} by the key of the entry */
  const toasts = new Map();
  let language = "";

  return {
    update(view) {
      if (language !== view.language) clear(toasts);
      language = view.language;
      dropOld(toasts, view.notices);
      for (const { entry } of view.notices.shown) {
        if (toasts.has(entry.key)) continue;
        const toast = makeToast(entry, view);
        toasts.set(entry.key, toast);
        more.before(toast);
      }
      more.hidden = view.notices.folded === 0;
      setText(more, view.words.andMore(view.notices.folded));
    },
  };
}

/** @param {Map<number, HTMLElement>} toasts @param {Notices} notices */
function dropOld(toasts, notices) {
  const alive = new Set(notices.shown.map(({ entry }) => entry.key));
  for (const [key, toast] of toasts) {
    if (alive.has(key)) continue;
    toast.remove();
    toasts.delete(key);
  }
}

/** @param {Map<number, HTMLElement>} toasts */
function clear(toasts) {
  for (const toast of toasts.values()) toast.remove();
  toasts.clear();
}

/** @param {import("../feed/entry.js").Entry} entry @param {View} view */
function makeToast(entry, view) {
  const toast = stamp("toast");
  toast.dataset.tone = toneOfEntry(entry);
  setOutsideText(find(toast, ".badge"), badgeOf(entry));
  setOutsideText(find(toast, ".toast-text"), beginning(entryText(entry, view), MOST_CHARACTERS), MOST_MARKS);
  return toast;
}
