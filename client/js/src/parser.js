// A parser for event streams (WHATWG HTML, server-sent events, section 9.2.6).
// It turns decoded text into events, however the text was cut into chunks.
// It knows no network and no clock; the caller decodes UTF-8 and keeps the byte order mark.

/**
 * One dispatched event. `id` is the last event ID at that moment, "" when there never was one;
 * `ownId` says whether this event's own block carried an `id` line.
 * @typedef {{type: string, data: string, id: string, ownId: boolean}} StreamEvent
 */

/**
 * @typedef {object} ParserCallbacks
 * @property {(event: StreamEvent) => void} onEvent called for each complete event, in order
 * @property {(ms: number) => void} [onRetry] called with the reconnection time, in milliseconds
 */

const BOM = "\uFEFF";

export class EventStreamParser {
  /**
   * @param {ParserCallbacks} callbacks
   * @param {string} [lastEventId] what an earlier connection ended with; it persists over reconnects
   */
  constructor(callbacks, lastEventId = "") {
    this.callbacks = callbacks;
    /** What to send as `Last-Event-ID`: only complete blocks move it. */
    this.lastEventId = lastEventId;
    this.pendingId = lastEventId;
    this.rest = "";
    this.started = false;
    this.skipLineFeed = false;
    /** @type {string | null} the block at hand: its data, its type, whether it has an ID */
    this.data = null;
    this.type = "";
    this.ownId = false;
  }

  /** Takes the next piece of the stream; a piece may end anywhere, even between CR and LF. */
  push(/** @type {string} */ chunk) {
    const text = this.linesOf(chunk);
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      this.takeLine(this.rest + text.slice(start, end));
      this.rest = "";
      start = end + 1;
    }
    this.rest += text.slice(start);
  }

  /** The chunk with LF for each end of line, and without the one byte order mark that may open a stream. */
  linesOf(/** @type {string} */ chunk) {
    if (chunk === "") return chunk;
    let text = chunk;
    if (!this.started && text.startsWith(BOM)) text = text.slice(1);
    this.started = true;
    if (this.skipLineFeed && text.startsWith("\n")) text = text.slice(1);
    // A CR that ends a chunk ends its line at once: waiting for a possible LF would delay the event.
    this.skipLineFeed = chunk.endsWith("\r");
    return text.includes("\r") ? text.replace(/\r\n?/g, "\n") : text;
  }

  takeLine(/** @type {string} */ line) {
    if (line === "") return this.dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment
    if (colon < 0) return this.takeField(line, "");
    // One space after the colon is part of the syntax; a second one is part of the value.
    this.takeField(line.slice(0, colon), line.slice(colon + (line[colon + 1] === " " ? 2 : 1)));
  }

  takeField(/** @type {string} */ name, /** @type {string} */ value) {
    if (name === "data") this.data = this.data === null ? value : `${this.data}\n${value}`;
    else if (name === "event") this.type = value;
    else if (name === "id") this.takeId(value);
    else if (name === "retry") this.takeRetry(value);
  }

  takeId(/** @type {string} */ value) {
    if (value.includes("\0")) return; // could not be sent back as a header
    this.pendingId = value;
    this.ownId = true;
  }

  takeRetry(/** @type {string} */ value) {
    if (/^[0-9]+$/.test(value)) this.callbacks.onRetry?.(Number(value));
  }

  dispatch() {
    this.lastEventId = this.pendingId;
    const { type, data, ownId } = this;
    this.data = null;
    this.type = "";
    this.ownId = false;
    if (data === null) return; // an ID or a type alone is no event; an empty `data` line is
    this.callbacks.onEvent({ type: type || "message", data, id: this.lastEventId, ownId });
  }
}
