// Toasts: what just arrived, for three seconds. A click opens the event. For eye and pointer only: the announcer
// speaks, and the keyboard has the feed.

/** @import { Entry } from "../feed/entry.js" */
/** @import { Notices } from "../feed/notices.js" */
/** @import { Component, View } from "../view.js" */
import { beginning } from "../feed/text.js";
import { badgeOf, toneOfEntry } from "../feed/tones.js";
import { find, setAttribute, setOutsideText, setText, stamp } from "./dom.js";
import { entryText } from "./row.js";

/** One line is shown; more would only cost time in a burst. */
const MOST_CHARACTERS = 200;
const MOST_MARKS = 3;

/**
 * @param {HTMLElement} root
 * @param {{open: (entry: Entry) => void, close: (entry: Entry) => void}} actions
 * @returns {Component}
 */
export function mountToasts(root, actions) {
  const more = document.createElement("p");
  more.className = "toast toast-more";
  more.hidden = true;
  root.append(more);
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
        root.prepend(toast);
      }
      more.hidden = view.notices.folded === 0 || toasts.size === 0;
      setText(more, view.words.andMore(String(view.notices.folded)));
    },
  };

  /** @param {Entry} entry @param {View} view */
  function makeToast(entry, view) {
    const toast = stamp("toast");
    toast.dataset.tone = toneOfEntry(entry);
    if (entry.kind === "event" && entry.level) toast.dataset.level = entry.level;
    setOutsideText(find(toast, ".badge"), badgeOf(entry));
    setOutsideText(find(toast, ".toast-text"), beginning(entryText(entry, view), MOST_CHARACTERS), MOST_MARKS);
    setAttribute(find(toast, ".toast-close"), "title", view.words.page.close);
    find(toast, ".toast-open").addEventListener("click", () => actions.open(entry));
    find(toast, ".toast-close").addEventListener("click", () => actions.close(entry));
    return toast;
  }
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
