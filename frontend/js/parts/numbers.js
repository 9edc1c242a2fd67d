// The numbers: what this page received, who is connected, how fast events come and how late, and
// how far back the hub's history reaches. What nobody knows at the moment is a dash.

/** @import { Component, View } from "../view.js" */
import { rate, span, unit, wholeNumber } from "../feed/formats.js";
import { find, setText } from "./dom.js";
import { mountSparkline } from "./sparkline.js";

/** @param {HTMLElement} root @returns {Component} */
export function mountNumbers(root) {
  const numbers = ["received", "clients", "client", "rate", "latency", "horizon"];
  const elements = numbers.map((name) => find(root, `[data-number=${name}]`));
  const sparkline = mountSparkline(find(root, ".sparkline"));

  return {
    update(view) {
      const texts = textsOf(view);
      elements.forEach((element, i) => setText(element, texts[i]));
      sparkline.update(view);
    },
  };
}

/** @param {View} view @returns {string[]} in the order of the names above */
function textsOf(view) {
  const { feed, pace, now, language, stream } = view;
  // Without a stream nobody tells how many there are; an old number would be a lie.
  const live = stream.phase === "live";
  return [
    wholeNumber(feed.received, language),
    wholeNumber(live ? feed.clients : null, language),
    wholeNumber(live ? feed.client : null, language),
    rate(live ? pace.perSecond(now) : null, language),
    live ? latencyText(view) : "–",
    live ? horizonText(view) : "–",
  ];
}

/** @param {View} view */
function latencyText({ latency, language }) {
  const read = latency.read();
  if (!read) return "–";
  const error = Math.ceil(read.error);
  if (read.ms <= error) return `≤ ${unit(read.ms + error, "millisecond", language)}`;
  return `${unit(Math.round(read.ms), "millisecond", language)} ±\u00a0${error}`;
}

/** @param {View} view */
function horizonText({ horizon, words, language }) {
  if (!horizon) return "–";
  if (horizon.kind === "all") return words.horizonAll;
  const text = horizon.seconds < 1 ? `< ${span(1, language)}` : span(horizon.seconds, language);
  return horizon.kind === "measured" ? text : `≈ ${text}`;
}
