// Desktop notices, for what matches a rule while the person is elsewhere. Permission is asked for when
// the person switches them on, never by itself.

/** @import { Entry } from "../feed/entry.js" */
/** @import { Filter } from "../feed/filter.js" */
import { matcherOf } from "../feed/filter.js";
import { beginning, visible } from "../feed/text.js";

/** @typedef {"" | "insecure" | "denied" | "unsupported"} Trouble */

/** A burst is one notice, not hundreds. */
const EVERY_MS = 3_000;
const MOST_CHARACTERS = 200;

export class DesktopNotices {
  /** @param {Filter | null} rule from an earlier visit */
  constructor(rule) {
    const allowed = "Notification" in globalThis && Notification.permission === "granted";
    /** @type {Filter | null} null while they are off */
    this.rule = allowed ? rule : null;
    this.matches = matcherOf(this.rule ?? { text: "", type: "", source: "", topic: "" });
    /** @type {Trouble} */
    this.trouble = "";
    this.shownAt = 0;
    this.more = 0;
  }

  /** Switches them on for a rule; asks for permission if need be. @param {Filter} rule */
  async start(rule) {
    this.trouble = await askPermission();
    if (this.trouble !== "") return;
    this.rule = rule;
    this.matches = matcherOf(rule);
  }

  stop() {
    this.rule = null;
    this.trouble = "";
  }

  /**
   * @param {Entry} entry
   * @param {string} text what it says
   * @param {number} now milliseconds since 1970
   */
  take(entry, text, now) {
    if (!this.rule || entry.kind !== "event" || document.hasFocus() || !this.matches(entry)) return;
    if (now - this.shownAt < EVERY_MS) {
      this.more += 1;
      return;
    }
    const title = this.more > 0 ? `${entry.type} (+${this.more})` : entry.type;
    this.shownAt = now;
    this.more = 0;
    this.show(title, beginning(visible(text), MOST_CHARACTERS), entry.id);
  }

  /** @param {string} title @param {string} body @param {string} tag the same in all tabs: shown once */
  show(title, body, tag) {
    try {
      const notice = new Notification(title, { body, tag, icon: "favicon.svg" });
      notice.addEventListener("click", () => window.focus());
    } catch {
      this.rule = null; // Android has the class, but only service workers may use it
      this.trouble = "unsupported";
    }
  }
}

/** @returns {Promise<Trouble>} */
async function askPermission() {
  if (!isSecureContext) return "insecure";
  if (!("Notification" in globalThis)) return "unsupported";
  const answer = await Notification.requestPermission();
  return answer === "granted" ? "" : "denied";
}
