// What can be done with the view: export it, share it, be notified of what matches it.

/** @import { Filter } from "../feed/filter.js" */
/** @import { Component, View } from "../view.js" */
import { isEverything } from "../feed/filter.js";
import { find, setAttribute, setOutsideText, setText } from "./dom.js";
import { filterText } from "./filter-bar.js";

/**
 * @typedef {object} MenuActions
 * @property {(format: "ndjson" | "csv") => void} exportView
 * @property {() => Promise<boolean>} copyLink
 * @property {() => Promise<void>} toggleNotices
 * @property {() => void} toggleToasts
 * @property {() => void} openAccess
 * @property {() => {rule: Filter | null, trouble: "" | "insecure" | "denied" | "unsupported"}} notices
 */

/**
 * @param {HTMLDetailsElement} root
 * @param {MenuActions} actions
 * @returns {Component}
 */
export function mountMenu(root, actions) {
  const summary = find(root, "summary");
  const said = find(root, ".menu-said");
  const toggle = find(root, "[data-act=notices]");
  const toasts = find(root, "[data-act=toasts]");
  const rule = find(root, ".menu-rule");
  /** @type {View | undefined} */
  let latest;
  let painted = "";

  find(root, "[data-act=export-ndjson]").addEventListener("click", () => actions.exportView("ndjson"));
  find(root, "[data-act=export-csv]").addEventListener("click", () => actions.exportView("csv"));
  find(root, "[data-act=copy-link]").addEventListener("click", copyLink);
  find(root, "[data-act=access]").addEventListener("click", () => {
    root.open = false;
    actions.openAccess();
  });
  toasts.addEventListener("click", actions.toggleToasts);
  toggle.addEventListener("click", () => void actions.toggleNotices());
  root.addEventListener("toggle", () => setText(said, ""));
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !root.open) return;
    event.stopPropagation();
    root.open = false;
    summary.focus();
  });
  document.addEventListener("pointerdown", (event) => {
    if (!root.contains(/** @type {Node} */ (event.target))) root.open = false;
  });

  async function copyLink() {
    const copied = await actions.copyLink();
    if (latest) setText(said, copied ? latest.words.linkCopied : latest.words.notCopied);
  }

  return {
    update(view) {
      latest = view;
      setAttribute(toasts, "aria-pressed", String(view.toastsOn));
      setText(toasts, view.words.toastsOn);
      const { rule: wanted, trouble } = actions.notices();
      setAttribute(toggle, "aria-pressed", String(wanted !== null));
      setText(toggle, view.words.noticesOn);
      const text = trouble ? view.words.noticesTrouble[trouble] : wanted ? ruleText(wanted, view) : "";
      if (text !== painted) setOutsideText(rule, text);
      painted = text;
    },
  };
}

/** @param {Filter} rule @param {View} view */
function ruleText(rule, { words }) {
  if (isEverything(rule)) return words.noticesOfAll;
  return words.noticesOf(filterText(rule, words));
}
