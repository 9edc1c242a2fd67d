// The connection to the hub: one event stream, kept open, resumed where it was cut.
// It uses fetch, not EventSource: that one hides the status, the countdown and every event type that
// nobody listed. It shows nothing; it reports events and its state to two callbacks.

/** @import { StreamEvent } from "./parser.js" */
import { delayBefore, retryAfterMs } from "./backoff.js";
import { alreadySeen } from "./cursor.js";
import { countOf, readObject } from "./json.js";
import { EventStreamParser } from "./parser.js";

/**
 * Why the stream is not live. `status` is an HTTP status, `detail` the hub's own words.
 * @typedef {object} Cause
 * @property {"network" | "offline" | "slow" | "ended" | "http" | "format" | "silent" | "full" | "draining"
 *   | "busy" | "user" | "dismissed"} code
 * @property {number} [status]
 * @property {string} [detail]
 */

/**
 * @typedef {object} StreamState
 * @property {"connecting" | "live" | "stalled" | "waiting" | "stopped"} phase
 *   stalled: open, but the heartbeat is overdue; waiting: until `retryAt`; stopped: until connect()
 * @property {Cause | null} cause why the last stream ended, null while all is well
 * @property {number} since when the phase began, milliseconds since 1970
 * @property {number | null} retryAt when the next try is due, milliseconds since 1970
 */

/**
 * The outside world, so that tests can bring their own.
 * @typedef {object} World
 * @property {(url: string, init: RequestInit) => Promise<Response>} fetch
 * @property {() => number} now milliseconds since 1970
 * @property {() => number} random from 0 up to 1
 * @property {() => boolean} online
 * @property {(run: () => void, ms: number) => number} after
 * @property {(timer: number) => void} cancel
 */

/** @type {World} */
export const BROWSER = {
  fetch: (url, init) => fetch(url, init),
  now: () => Date.now(),
  random: () => Math.random(),
  online: () => navigator.onLine,
  after: (run, ms) => Number(setTimeout(run, ms)),
  cancel: (timer) => clearTimeout(timer),
};

/** How long the hub may take to answer and welcome. */
const PATIENCE_MS = 20_000;
/** A stream that lived this long was a good one: the back-off starts anew after it. */
const GOOD_MS = 5_000;
/** In heartbeats: how much silence is odd, and how much means that the connection is dead. */
const STALLED_AFTER = 1.5;
const DEAD_AFTER = 2.5;

export class HubStream {
  /**
   * @param {string} url
   * @param {(event: StreamEvent) => void} onEvent each event once, in order
   * @param {(state: StreamState) => void} onState
   * @param {World} [world]
   */
  constructor(url, onEvent, onState, world = BROWSER) {
    this.url = url;
    this.onEvent = onEvent;
    this.onState = onState;
    this.world = world;
    /** @type {StreamState} */
    this.state = { phase: "stopped", cause: null, since: world.now(), retryAt: null };
    /** What the next request resumes after. */
    this.lastEventId = "";
    /** The last published event taken; the welcome's ID is a position, not an event. */
    this.seen = "";
    /** Whether the welcome announced a gap that hasn't come yet. */
    this.gapDue = false;
    this.attempt = 0;
    /** @type {number | null} */
    this.retryMs = null;
    /** @type {Cause | null} */
    this.refusal = null;
    /** @type {AbortController | null} the stream that is open, null between two */
    this.current = null;
    this.timer = 0;
    this.heartbeatMs = 0;
    this.heardAt = 0;
    this.welcomedAt = Number.NaN;
  }

  /** Reads the log from there, anew if a stream is open. @param {string} id "" is the log's head */
  resumeAfter(id) {
    const wasOpen = this.current !== null;
    if (wasOpen) this.close();
    this.lastEventId = id;
    this.seen = "";
    if (wasOpen) this.connect();
  }

  /** Opens the stream now, unless it is opening, or open and well. */
  connect() {
    if (this.current && this.state.phase !== "stalled") return;
    this.close();
    this.current = new AbortController();
    this.refusal = null;
    this.gapDue = false;
    this.heartbeatMs = 0;
    this.welcomedAt = Number.NaN;
    this.become("connecting", this.state.cause);
    this.timer = this.world.after(() => this.lose({ code: "slow" }), PATIENCE_MS);
    this.run(this.current);
  }

  /** Closes the stream and stays closed until connect(). */
  disconnect() {
    this.close();
    this.attempt = 0;
    this.become("stopped", { code: "user" });
  }

  /** Tries at once if it is waiting or doubtful; for the moments when a try is likely to succeed. */
  wake() {
    if (this.state.phase === "waiting" || this.state.phase === "stalled") this.connect();
  }

  /** The browser lost its network. An open stream may outlive that: the next thing it brings will tell. */
  goOffline() {
    const { phase, cause, retryAt } = this.state;
    if (phase === "live") this.become("stalled", { code: "offline" });
    if (phase === "waiting" && cause?.code === "network") {
      this.become("waiting", { code: "offline" }, retryAt);
    }
  }

  close() {
    this.world.cancel(this.timer);
    const open = this.current;
    this.current = null; // first: whatever the abort sets off must see that it is over
    open?.abort();
  }

  /** @param {StreamState["phase"]} phase @param {Cause | null} cause */
  become(phase, cause, /** @type {number | null} */ retryAt = null) {
    this.state = { phase, cause, since: this.world.now(), retryAt };
    this.onState(this.state);
  }

  /** Reads one stream from its request to its end. @param {AbortController} mine */
  async run(mine) {
    try {
      const response = await this.request(mine.signal);
      if (this.current !== mine) return;
      const refusal = await this.refusalOf(response);
      if (this.current !== mine) return;
      if (refusal || !response.body) return this.lose(refusal ?? { code: "ended" }, response);
      await this.read(response.body, mine);
      if (this.current === mine) this.lose(this.refusal ?? { code: "ended" });
    } catch (error) {
      if (this.current !== mine) return;
      // fetch and its reader report every failure of the network as a TypeError; the rest is a bug.
      this.lose(this.refusal ?? { code: this.world.online() ? "network" : "offline" });
      if (!(error instanceof TypeError)) throw error;
    }
  }

  /** @param {AbortSignal} signal */
  request(signal) {
    /** @type {Record<string, string>} */
    const headers = { Accept: "text/event-stream" };
    if (this.lastEventId) headers["Last-Event-ID"] = this.lastEventId;
    return this.world.fetch(this.url, { headers, signal, cache: "no-store" });
  }

  /**
   * @param {Response} response
   * @returns {Promise<Cause | null>} null for an event stream
   */
  async refusalOf(response) {
    if (response.status === 204) return { code: "dismissed" };
    if (response.status !== 200) {
      const answer = readObject(await response.text());
      const detail = typeof answer?.error === "string" ? answer.error : "";
      return { code: "http", status: response.status, detail };
    }
    const type = response.headers.get("Content-Type") ?? "";
    return /^text\/event-stream\s*(;|$)/i.test(type) ? null : { code: "format" };
  }

  /** @param {ReadableStream<Uint8Array>} body @param {AbortController} mine */
  async read(body, mine) {
    const parser = new EventStreamParser(
      { onEvent: (event) => this.take(event), onRetry: (ms) => (this.retryMs = ms) },
      this.lastEventId,
    );
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true }); // the parser handles the mark
    const reader = body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.current !== mine) return;
      this.hear();
      parser.push(decoder.decode(value, { stream: true }));
      // Cut off between the two, a stream that resumed after the welcome would never hear of the gap.
      if (!this.gapDue) this.lastEventId = parser.lastEventId;
    }
  }

  /** @param {StreamEvent} event */
  take(event) {
    if (event.type === "busy") return this.takeBusy(event);
    if (event.type === "connection") this.takeWelcome(event);
    else if (event.type === "gap") this.takeGap(event);
    else if (event.ownId) {
      if (alreadySeen(this.seen, event.id)) return;
      this.seen = event.id;
    }
    this.onEvent(event);
  }

  /** @param {StreamEvent} event */
  takeWelcome(event) {
    const { heartbeat, missed } = readObject(event.data) ?? {};
    this.heartbeatMs = 1_000 * (countOf(heartbeat) ?? 0);
    this.gapDue = missed === null || (countOf(missed) ?? 0) > 0;
    this.welcomedAt = this.world.now();
    this.become("live", null);
    this.watch();
  }

  /** @param {StreamEvent} event */
  takeGap(event) {
    this.gapDue = false;
    // The log is not the one that gave us our ID: what its own IDs come to says nothing about that.
    if (readObject(event.data)?.reason === "unknown") this.seen = event.id;
  }

  /** The hub's soft refusal; the stream ends after it. @param {StreamEvent} event */
  takeBusy(event) {
    const reason = readObject(event.data)?.reason;
    if (reason === "age") return; // it was open for as long as streams are: nothing is wrong with the hub
    this.refusal = { code: reason === "full" || reason === "draining" ? reason : "busy" };
  }

  /** Anything that arrives, be it half a comment, shows that the connection lives. */
  hear() {
    this.heardAt = this.world.now();
    if (this.state.phase === "stalled") this.become("live", null);
  }

  /** Looks once a second whether the heartbeat is overdue; a dead connection reports nothing itself. */
  watch() {
    this.world.cancel(this.timer);
    if (this.heartbeatMs <= 0) return;
    const silence = (this.world.now() - this.heardAt) / this.heartbeatMs;
    if (silence > DEAD_AFTER) return this.lose({ code: "silent" });
    if (silence > STALLED_AFTER && this.state.phase === "live") {
      this.become("stalled", { code: "silent" });
    }
    this.timer = this.world.after(() => this.watch(), 1_000);
  }

  /**
   * Ends this stream and plans the next.
   * @param {Cause} cause
   * @param {Response} [response] the refusal, which may say when to come back
   */
  lose(cause, response) {
    const now = this.world.now();
    this.close();
    if (cause.code === "dismissed") return this.become("stopped", cause); // 204: the standard says so
    if (now - this.welcomedAt >= GOOD_MS) this.attempt = 0;
    this.attempt += 1;
    const delay = this.delay(response?.headers.get("Retry-After") ?? null, now);
    this.become("waiting", cause, now + delay);
    this.timer = this.world.after(() => this.connect(), delay);
  }

  /** A hub that refuses and says when to come back sets the pace; else each failure doubles it. */
  delay(/** @type {string | null} */ retryAfter, /** @type {number} */ now) {
    const asked = retryAfterMs(retryAfter, now) ?? (this.refusal && this.retryMs);
    const attempt = asked === null ? this.attempt : 1;
    return delayBefore(attempt, asked ?? this.retryMs, this.world.random());
  }
}
