// Above the feed: what is on view, pause, and the filter with its four fields.

/** @import { Filter } from "../feed/filter.js" */
/** @import { Component, View } from "../view.js" */
import { EVERYTHING, isEverything } from "../feed/filter.js";
import { localTime, wholeNumber } from "../feed/formats.js";
import { find, setAttribute, setIcon, setText } from "./dom.js";

const CHOICES = /** @type {const} */ (["type", "source", "topic"]);

/**
 * @param {HTMLElement} root
 * @param {{setFilter: (filter: Filter) => void, pause: () => void, follow: () => void}} actions
 * @returns {Component & {focusSearch: () => void}}
 */
export function mountFilterBar(root, actions) {
  /** @type {HTMLFormElement} */
  const form = find(root, ".filter");
  const summary = find(root, ".feed-summary");
  const pause = find(root, "[data-act=pause]");
  const toggle = find(root, "[data-act=filter]");
  const pill = find(root, "[data-act=follow]");
  const clear = find(root, "[data-act=clear]");
  const fields = fieldsOf(form);
  /** @type {Filter | null} what the fields hold */
  let shown = null;
  let offered = "";

  form.addEventListener("input", read);
  form.addEventListener("submit", (event) => event.preventDefault());
  clear.addEventListener("click", () => {
    actions.setFilter(EVERYTHING);
    fields.text.focus();
  });
  find(root, "[data-act=show-all]").addEventListener("click", () => actions.setFilter(EVERYTHING));
  pause.addEventListener("click", actions.pause);
  pill.addEventListener("click", actions.follow);
  toggle.addEventListener("click", () => setOpen(toggle.getAttribute("aria-expanded") !== "true"));
  return { update, focusSearch };

  function read() {
    const [text, type, source, topic] = [fields.text, fields.type, fields.source, fields.topic].map((f) => f.value);
    shown = { text, type, source, topic };
    actions.setFilter(shown);
  }

  /** On a narrow screen the fields are folded. @param {boolean} open */
  function setOpen(open) {
    toggle.setAttribute("aria-expanded", String(open));
    root.classList.toggle("filter-open", open);
  }

  function focusSearch() {
    setOpen(true);
    fields.text.focus();
    fields.text.select();
  }

  /** @param {View} view */
  function update(view) {
    const { reading, paused, words, language } = view;
    paintFields(view);
    setText(summary, summaryOf(view));
    const fresh = reading.fresh > 0 ? `+${wholeNumber(reading.fresh, language)}` : "";
    setAttribute(pause, "aria-pressed", String(paused));
    setIcon(pause, paused ? "play" : "pause");
    setText(find(pause, ".button-text"), paused ? words.resume : words.pause);
    setText(find(pause, ".button-count"), paused ? fresh : "");
    pill.hidden = !reading.held || paused || reading.fresh + reading.freshGaps === 0;
    setText(find(pill, ".button-text"), words.pill(reading.fresh, wholeNumber(reading.fresh, language), reading.freshGaps));
    const filtered = !isEverything(reading.filter);
    clear.hidden = !filtered;
    find(root, "[data-act=show-all]").hidden = !filtered;
    toggle.classList.toggle("filter-on", filtered);
  }

  /** @param {View} view */
  function paintFields({ reading, feed, words, language }) {
    const sizes = CHOICES.map((name) => feed.seen[name].size).join();
    if (shown === reading.filter && offered === sizes + language) return;
    offered = sizes + language;
    shown = reading.filter;
    offerNames(fields.type, words.allTypes, feed.seen.type, shown.type);
    offerNames(fields.source, words.allSources, feed.seen.source, shown.source);
    find(form, "datalist").replaceChildren(...[...feed.seen.topic].map((name) => new Option(name)));
    for (const name of /** @type {(keyof Filter)[]} */ (Object.keys(fields))) {
      if (fields[name].value !== shown[name]) fields[name].value = shown[name];
    }
  }
}

/** What is on view, in a line. @param {View} view */
export function summaryOf({ reading, feed, paused, words, language, now }) {
  const kept = wholeNumber(reading.held ? reading.heldEvents : feed.received - feed.letGo, language);
  const shown = wholeNumber(reading.events, language);
  const what = isEverything(reading.filter) ? words.onView(reading.events, shown) : words.matching(shown, kept);
  return paused ? words.pausedAt(what, localTime(reading.heldAt, now, language)) : what;
}

/** @param {HTMLFormElement} form */
function fieldsOf(form) {
  return {
    text: /** @type {HTMLInputElement} */ (find(form, "[name=q]")),
    type: /** @type {HTMLSelectElement} */ (find(form, "[name=type]")),
    source: /** @type {HTMLSelectElement} */ (find(form, "[name=source]")),
    topic: /** @type {HTMLInputElement} */ (find(form, "[name=topic]")),
  };
}

/** A name in the address is a choice, whether it was seen or not. @param {Element} select @param {string} all @param {Set<string>} names @param {string} chosen */
function offerNames(select, all, names, chosen) {
  const choices = chosen === "" ? names : new Set([...names, chosen]);
  select.replaceChildren(new Option(all, ""), ...[...choices].sort().map((name) => new Option(name)));
}
