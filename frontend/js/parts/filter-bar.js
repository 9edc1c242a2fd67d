// Above the feed: what is on view, pause, the gaps, and the filter with its four fields.

/** @import { Filter } from "../feed/filter.js" */
/** @import { Component, View } from "../view.js" */
/** @import { Words } from "../words/fr.js" */
import { EVERYTHING, isEverything } from "../feed/filter.js";
import { shortTime, wholeNumber } from "../feed/formats.js";
import { mountCombobox } from "./combobox.js";
import { find, setAttribute, setIcon, setOutsideText, setText } from "./dom.js";

/**
 * @param {HTMLElement} root
 * @param {{setFilter: (filter: Filter) => void, pause: () => void, follow: () => void, toGap: () => void}} actions
 * @returns {Component & {focusSearch: () => void}}
 */
export function mountFilterBar(root, actions) {
  /** @type {HTMLFormElement} */
  const form = find(root, ".filter");
  const summary = find(root, ".feed-summary");
  const rule = find(root, ".feed-rule");
  const pause = find(root, "[data-act=pause]");
  const toggle = find(root, "[data-act=filter]");
  const pill = find(root, "[data-act=follow]");
  const clear = find(root, "[data-act=clear]");
  const gaps = find(root, "[data-act=next-gap]");
  const fields = fieldsOf(form);
  /** @type {Filter | null} what the fields hold */
  let shown = null;
  let shownRule = "";
  /** @type {View | undefined} */
  let latest;

  for (const name of /** @type {const} */ (["type", "topic", "source"])) {
    mountCombobox(fields[name], () => [...(latest?.feed.seen[name] ?? [])].sort(), true);
  }
  form.addEventListener("input", read);
  form.addEventListener("submit", (event) => event.preventDefault());
  clear.addEventListener("click", () => {
    actions.setFilter(EVERYTHING);
    fields.text.focus();
  });
  find(root, "[data-act=show-all]").addEventListener("click", () => actions.setFilter(EVERYTHING));
  pause.addEventListener("click", actions.pause);
  pill.addEventListener("click", actions.follow);
  gaps.addEventListener("click", actions.toGap);
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
    const { reading, paused, away, words, language } = view;
    latest = view;
    paintFields(view);
    setText(summary, summaryOf(view));
    const fresh = reading.fresh > 0 ? `+${wholeNumber(reading.fresh, language)}` : "";
    setAttribute(pause, "aria-pressed", String(paused));
    setIcon(pause, paused ? "play" : "pause");
    setText(find(pause, ".button-text"), paused ? words.resume : words.pause);
    setText(find(pause, ".button-count"), paused ? fresh : "");
    gaps.hidden = reading.gaps === 0;
    setText(gaps, words.gapsKnown(reading.gaps));
    pill.hidden = !reading.held || (paused && !away) || (reading.fresh + reading.freshGaps === 0 && !away);
    setText(find(pill, ".button-text"), words.pill(reading.fresh, wholeNumber(reading.fresh, language), reading.freshGaps));
    const filtered = !isEverything(reading.filter);
    clear.hidden = !filtered;
    find(root, "[data-act=show-all]").hidden = !filtered;
    toggle.classList.toggle("filter-on", filtered);
    const text = filterText(reading.filter, words);
    if (text !== shownRule) setOutsideText(rule, text);
    shownRule = text;
  }

  /** @param {View} view */
  function paintFields({ reading }) {
    if (shown === reading.filter) return;
    shown = reading.filter;
    for (const name of /** @type {(keyof Filter)[]} */ (Object.keys(fields))) {
      if (fields[name].value !== shown[name]) fields[name].value = shown[name];
    }
  }
}

/** What is on view, in a line. @param {View} view */
export function summaryOf({ reading, feed, past, paused, words, language, now }) {
  const kept = wholeNumber((reading.held ? reading.heldEvents : feed.events) + past.entries.length, language);
  const shown = wholeNumber(reading.events, language);
  const what = isEverything(reading.filter) ? words.onView(reading.events, shown) : words.matching(reading.events, shown, kept);
  return paused ? words.pausedAt(what, shortTime(reading.heldAt, now, language)) : what;
}

/** A filter in a line, "" for none. @param {Filter} filter @param {Words} words */
export function filterText({ text, type, source, topic }, words) {
  return [type, source, topic, text && words.quoted(text)].filter(Boolean).join(", ");
}

/** @param {HTMLFormElement} form */
function fieldsOf(form) {
  return {
    text: /** @type {HTMLInputElement} */ (find(form, "[name=q]")),
    type: /** @type {HTMLInputElement} */ (find(form, "[name=type]")),
    source: /** @type {HTMLInputElement} */ (find(form, "[name=source]")),
    topic: /** @type {HTMLInputElement} */ (find(form, "[name=topic]")),
  };
}
