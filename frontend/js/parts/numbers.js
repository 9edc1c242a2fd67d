// The numbers in one line: what this page received, who is connected, how fast events come and how late, and how
// far back the hub's history reaches. Each is explained on hover and focus; all of it where the line is unfolded.
// What nobody knows at the moment is a dash.

/** @import { Component, View } from "../view.js" */
import { roundRate, shortTime, unit, wholeNumber } from "../feed/formats.js";
import { find, setText } from "./dom.js";
import { mountSparkline } from "./sparkline.js";

/** @param {HTMLElement} root @returns {Component} */
export function mountNumbers(root) {
  const names = ["received", "clients", "rate", "history"].flatMap((name) => [name, `${name}-word`]);
  names.push("client", "latency");
  const elements = names.map((name) => find(root, `[data-number=${name}]`));
  const whyHistory = find(root, "#why-history");
  const unfold = find(root, "[data-act=unfold]");
  const sparkline = mountSparkline(find(root, ".sparkline"));

  for (const button of root.querySelectorAll("button")) button.addEventListener("click", toggle);
  // Whoever doesn't want an explanation sends it away (WCAG 2.2, success criterion 1.4.13).
  document.addEventListener("keydown", ({ key }) => key === "Escape" && root.classList.add("quiet"));
  for (const type of ["pointerover", "focusin"]) root.addEventListener(type, () => root.classList.remove("quiet"));

  return {
    update(view) {
      const texts = textsOf(view);
      elements.forEach((element, i) => setText(element, texts[i]));
      setText(whyHistory, historyWhy(view));
      sparkline.update(view);
    },
  };

  function toggle() {
    const open = root.classList.toggle("numbers-open");
    unfold.setAttribute("aria-expanded", String(open));
  }
}

/** @param {View} view @returns {string[]} in the order of the names above */
function textsOf(view) {
  const { feed, pace, now, language, stream, words } = view;
  // Without a stream nobody tells how many there are; an old number would be a lie.
  const live = stream.phase === "live";
  const clients = live ? feed.clients : null;
  const perSecond = live ? pace.perSecond(now) : null;
  const rate = perSecond === null ? null : roundRate(perSecond);
  return [
    wholeNumber(feed.received, language),
    words.receivedWord(feed.received),
    wholeNumber(clients, language),
    words.clientsWord(clients),
    wholeNumber(rate, language),
    words.rateWord(rate),
    ...historyTexts(view),
    live && feed.client !== null ? String(feed.client) : "–",
    live ? latencyText(view) : "–",
  ];
}

/** @param {View} view */
function latencyText({ latency, language }) {
  const read = latency.read();
  return read ? unit(Math.max(1, Math.round(read.ms)), "millisecond", language) : "–";
}

/** What the hub told last, and what came since: it isn't asked for each event. @param {View} view @returns {[string, string]} */
function historyTexts({ facts, feed, stream, words, language, now }) {
  if (stream.phase !== "live" || !facts?.history) return ["–", words.keptWord(null, "", "")];
  const { limit, since } = facts.history;
  const events = Math.min(limit, facts.history.events + feed.received - feed.receivedThen);
  const oldest = since ?? (events > 0 ? (feed.oldestEvent?.time ?? null) : null);
  const time = oldest === null ? "" : shortTime(oldest, now, language);
  return [wholeNumber(events, language), words.keptWord(events, wholeNumber(limit, language), time)];
}

/** @param {View} view */
function historyWhy({ facts, words }) {
  /** @type {Record<string, string>} */
  const ways = words.keptBy;
  const journal = facts?.journal ?? "";
  return `${words.whyKept} ${Object.hasOwn(ways, journal) ? ways[journal] : ways.other}`;
}
