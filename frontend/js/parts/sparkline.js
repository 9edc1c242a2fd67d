// A line of the last minute's events, a point a second, drawn by hand.

/** @import { Component } from "../view.js" */
import { SECONDS } from "../feed/pace.js";
import { wholeNumber } from "../feed/formats.js";
import { find, setAttribute, setText } from "./dom.js";

/** Of the SVG's view box. */
const WIDTH = 120;
const HEIGHT = 20;
const MARGIN = 1.5;

/** @param {HTMLElement} root @returns {Component} */
export function mountSparkline(root) {
  const line = find(root, ".spark-line");
  const peak = find(root, ".spark-peak");
  const svg = find(root, "svg");
  let painted = "";

  return {
    update({ pace, now, words, language }) {
      const state = `${Math.floor(now / 1_000)} ${language}`;
      if (state === painted) return; // it moves once a second
      painted = state;
      const counts = pace.lastMinute(now);
      const most = Math.max(...counts);
      line.setAttribute("d", pathOf(counts, Math.max(1, most)));
      setText(peak, most > 0 ? words.peak(wholeNumber(most, language)) : "");
      setAttribute(svg, "aria-label", words.lastMinute(wholeNumber(most, language)));
    },
  };
}

/** @param {number[]} counts @param {number} most */
function pathOf(counts, most) {
  const points = counts.map((count, i) => {
    const x = (i * WIDTH) / (SECONDS - 1);
    const y = HEIGHT - MARGIN - (count / most) * (HEIGHT - 2 * MARGIN);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  return `M${points.join("L")}`;
}
