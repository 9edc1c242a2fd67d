// What stands where no event is: why, and what to do about it. It is true in each phase of the connection.

/** @import { Component, View } from "../view.js" */
import { curlOf } from "../feed/export.js";
import { isEverything } from "../feed/filter.js";
import { copyText } from "./clipboard.js";
import { find, setOutsideText, setText } from "./dom.js";
import { lookOf } from "./status-text.js";

/** How long a stream usually takes to open, and what it begins with to come. */
const PATIENCE_MS = 1_000;

/**
 * @param {HTMLElement} root
 * @param {string} notifyUrl
 * @param {{sendTest: () => Promise<string>}} actions `sendTest` publishes, and says what came of it
 * @returns {Component}
 */
export function mountPlaceholder(root, notifyUrl, actions) {
  const trial = find(root, ".empty-try");
  const command = find(root, ".empty-curl");
  const said = find(root, ".empty-said");
  /** @type {View | undefined} */
  let latest;

  find(root, "[data-act=copy-first]").addEventListener("click", async () => {
    const copied = await copyText(command.textContent ?? "", root);
    if (latest) setText(said, copied ? latest.words.copied : latest.words.notCopied);
  });
  find(root, "[data-act=send-test]").addEventListener("click", async () => setOutsideText(said, await actions.sendTest()));

  return {
    update(view) {
      latest = view;
      const { reading, words } = view;
      root.hidden = reading.events > 0;
      if (root.hidden) return setText(said, "");
      const kind = kindOf(view);
      // What is there for a moment only would make the page jump.
      root.hidden = kind === "connecting" && view.now - view.stream.since < PATIENCE_MS;
      const [title, text] = words.empty[kind];
      setText(find(root, ".empty-title"), title);
      setText(find(root, ".empty-text"), text);
      trial.hidden = kind !== "live";
      setText(command, curlOf({ type: "notification", message: words.testMessage }, notifyUrl));
    },
  };
}

/** @param {View} view @returns {"connecting" | "live" | "stopped" | "away" | "refused" | "filtered" | "quiet" | "readOnly"} */
function kindOf({ stream, reading, past, facts, rights }) {
  const look = lookOf(stream);
  if (look === "stopped" || look === "connecting" || look === "refused") return look;
  if (look !== "live" && look !== "stalled") return "away";
  if (!isEverything(reading.filter)) return "filtered";
  if (past.state === "loading") return "connecting";
  if (facts?.history?.events && !past.done) return "quiet";
  return rights?.publish.length === 0 ? "readOnly" : "live";
}
