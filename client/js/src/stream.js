// The connection to the hub: one event stream, kept open, resumed where it was cut.
// It uses fetch, not EventSource: that one hides the status, the countdown and every event type that
// nobody listed. Where something on the way holds streams back, it polls instead. It shows nothing; it
// reports events and its state to two callbacks. Any other server's event stream will do too.

/** @import { StreamEvent } from "./parser.js" */
/** @import { World } from "./requests.js" */
import { delayBefore, retryAfterMs } from "./backoff.js";
import { alreadySeen } from "./cursor.js";
import { countOf, readObject } from "./json.js";
import { EventStreamParser } from "./parser.js";
import { WAIT_S, askPage } from "./poll.js";
import { BROWSER, EVENT_STREAM, Lost, TokenError, lost, refusalOf } from "./requests.js";

/**
 * Why the stream is not live. `status` is an HTTP status, `detail` the hub's own words.
 * @typedef {object} Cause
 * @property {"network" | "offline" | "slow" | "ended" | "http" | "format" | "silent" | "full" | "draining"
 *   | "busy" | "token" | "user" | "dismissed"} code dismissed: there is nothing more to come, for good
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
 * @property {"stream" | "poll"} transport poll: long polls, as something on the way holds streams back
 * @property {boolean} open whether the hub has answered, and the answer goes on: EventSource's OPEN
 */

/** How long the hub may take to answer and welcome. */
const PATIENCE_MS = 20_000;
/** A stream that lived this long was a good one: the back-off starts anew after it. */
const GOOD_MS = 5_000;
/** In heartbeats: how much silence is odd, how much means that the stream is held back, or that it is dead. */
const STALLED_AFTER = 1.5;
const HELD_AFTER = 2;
const DEAD_AFTER = 2.5;
/** What comes so much later than the beginning of the answer shows that streams get through. */
const FLOW_MS = 1_000;
/** From the beginning of a poll to that of the next, at least: after events, and after none. */
const PACE_MS = 250;
const EMPTY_PACE_MS = 1_000;
/** How often it is looked whether streams get through by now: less and less often, to once an hour. */
const FIRST_LOOK_MS = 60_000;
const LAST_LOOK_MS = 3_600_000;
const USUAL_HEARTBEAT_MS = 30_000;

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
    this.state = { phase: "stopped", cause: null, since: world.now(), retryAt: null, transport: "stream", open: false };
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
    this.openedAt = Number.NaN;
    this.heardAt = 0;
    this.liveAt = Number.NaN;
    /** Whether the present stream began with a welcome: another server's IDs and types say nothing. */
    this.isHub = false;
    /** Whether what came over the present stream came as it was sent, and not all at once. */
    this.flows = false;
    this.polls = false;
    this.lookEveryMs = FIRST_LOOK_MS;
    this.lookAt = 0;
    /** @type {Set<unknown>} what was asked for and has not ended, as far as this stream has told */
    this.unended = new Set();
    this.hasEnded = false;
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
    const mine = (this.current = new AbortController());
    this.refusal = null;
    this.gapDue = false;
    this.isHub = false;
    this.openedAt = this.liveAt = Number.NaN;
    this.flows = false;
    this.unended = new Set(new URL(this.url).searchParams.getAll("topic"));
    this.hasEnded = false;
    this.become("connecting", this.state.cause);
    this.timer = this.world.after(() => this.doubt({ code: "slow" }), PATIENCE_MS);
    void this.run(mine, () => (this.polls ? this.poll(mine) : this.readStream(mine)));
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
    const transport = this.polls ? "poll" : "stream";
    const open = this.current !== null && !Number.isNaN(this.openedAt);
    this.state = { phase, cause, since: this.world.now(), retryAt, transport, open };
    this.onState(this.state);
  }

  /** Reads to the end of it. @param {AbortController} mine @param {() => Promise<void>} read */
  async run(mine, read) {
    try {
      await read();
      if (this.current === mine) this.lose(this.refusal ?? { code: "ended" });
    } catch (error) {
      if (this.current !== mine) return;
      const code = error instanceof TokenError ? "token" : this.world.online() ? "network" : "offline";
      this.lose(this.refusal ?? { code });
      if (!(error instanceof Lost)) throw error; // a bug
    }
  }

  /** One stream, from its request to its end. @param {AbortController} mine */
  async readStream(mine) {
    const response = await this.request(mine.signal);
    if (this.current !== mine) return;
    const refusal = await refusalOf(response, EVENT_STREAM);
    if (this.current !== mine) return;
    if (refusal || !response.body) return this.lose(refusal ?? { code: "ended" }, response);
    this.openedAt = this.world.now();
    this.become("connecting", this.state.cause);
    await this.read(response.body, mine);
  }

  /** @param {AbortSignal} signal */
  request(signal) {
    /** @type {Record<string, string>} */
    const headers = { Accept: "text/event-stream" };
    // As EventSource sends it: its bytes in UTF-8, each of which is a character of a header.
    const bytes = Array.from(new TextEncoder().encode(this.lastEventId), (byte) => String.fromCharCode(byte));
    if (bytes.length > 0) headers["Last-Event-ID"] = bytes.join("");
    return this.world.fetch(this.url, { headers, signal, cache: "no-store" }).catch(lost);
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
      const { done, value } = await reader.read().catch(lost);
      if (done || this.current !== mine) return;
      this.hear();
      parser.push(decoder.decode(value, { stream: true }));
      // Cut off between the two, a stream that resumed after the welcome would never hear of the gap.
      if (!this.gapDue) this.lastEventId = parser.lastEventId;
    }
  }

  /** @param {StreamEvent} event */
  take(event) {
    if (event.type === "busy" && this.takeBusy(event)) return;
    if (event.type === "connection") this.takeWelcome(event);
    else if (!this.isHub) this.takeForeign();
    else if (event.type === "gap") this.takeGap(event);
    else if (event.type === "end") this.takeEnd(event);
    else if (event.ownId) {
      if (alreadySeen(this.seen, event.id)) return;
      this.seen = event.id;
    }
    this.onEvent(event);
  }

  /** What comes without a welcome is of another server, which has no heartbeat that is known. */
  takeForeign() {
    if (this.state.phase !== "connecting") return;
    this.world.cancel(this.timer);
    this.liveAt = this.world.now();
    this.become("live", null);
  }

  /** @param {StreamEvent} event */
  takeWelcome(event) {
    const { heartbeat, missed } = readObject(event.data) ?? {};
    this.gapDue = missed === null || (countOf(missed) ?? 0) > 0;
    this.isHub = true;
    this.liveAt = this.world.now();
    if (this.polls) return;
    this.heartbeatMs = 1_000 * (countOf(heartbeat) ?? 0);
    this.become("live", null);
    this.watch();
  }

  /** @param {StreamEvent} event */
  takeGap(event) {
    this.gapDue = false;
    // The log is not the one that gave us our ID: what its own IDs come to says nothing about that.
    if (readObject(event.data)?.reason === "unknown") this.seen = event.id;
  }

  /** A pattern such as `a*` is no topic, and never ends. @param {StreamEvent} event */
  takeEnd(event) {
    const isKnown = this.unended.delete(readObject(event.data)?.topic);
    this.hasEnded ||= isKnown && this.unended.size === 0;
  }

  /** The hub's soft refusal; the stream ends after it. @param {StreamEvent} event @returns {boolean} whether it is one */
  takeBusy(event) {
    const reason = readObject(event.data)?.reason;
    if (event.ownId || typeof reason !== "string") return false;
    // "age": it was open for as long as streams are, and nothing is wrong with the hub.
    if (reason !== "age") this.refusal = { code: reason === "full" || reason === "draining" ? reason : "busy" };
    return true;
  }

  /** Anything that arrives, be it half a comment, shows that the connection lives. */
  hear() {
    this.heardAt = this.world.now();
    if (!this.polls && this.heardAt - this.openedAt > FLOW_MS) {
      this.flows = true;
      this.lookEveryMs = FIRST_LOOK_MS;
    }
    if (this.state.phase === "stalled") this.become("live", null);
  }

  /** Looks once a second whether the heartbeat is overdue; a dead connection reports nothing itself. @returns {void} */
  watch() {
    this.world.cancel(this.timer);
    if (this.heartbeatMs <= 0) return;
    const silence = (this.world.now() - this.heardAt) / this.heartbeatMs;
    if (silence > DEAD_AFTER) return this.lose({ code: "silent" });
    if (silence > STALLED_AFTER && this.state.phase === "live") {
      this.become("stalled", { code: "silent" });
    }
    if (silence > HELD_AFTER && !this.flows) void this.doubt({ code: "silent" });
    else this.timer = this.world.after(() => this.watch(), 1_000);
  }

  // --- long polls ---------------------------------------------------------------------------------

  /**
   * Nothing comes, and nothing ever came as it was sent. Where a plain request is answered, streams are held back on
   * the way. The stream stays open meanwhile: another server's may just be quiet.
   * @param {Cause} cause
   * @returns {Promise<void>}
   */
  async doubt(cause) {
    const mine = this.current;
    if (!mine || this.polls) return this.lose(cause);
    const { heardAt, openedAt } = this;
    if (!this.isHub && heardAt >= openedAt) return this.takeForeign(); // comments, and no welcome before them
    this.timer = this.world.after(() => this.lose(cause), PATIENCE_MS);
    const answer = await askPage(this, true, 0, mine.signal).catch(() => null);
    if (this.current !== mine) return;
    if (this.heardAt !== heardAt) return this.isHub ? this.watch() : this.takeForeign();
    const status = answer?.refusal?.status ?? 404; // also where it may not be asked for that, as of another origin
    if (answer?.page) {
      this.polls = true;
      this.lookAt = this.world.now() + this.lookEveryMs;
      this.close();
      this.connect();
    } else if (this.state.open && !this.isHub && (status === 404 || status === 405)) this.takeForeign();
    else this.lose(cause);
  }

  /** Asks again and again what is new. @param {AbortController} mine */
  async poll(mine) {
    for (let isFirst = true; this.current === mine; isFirst = false) {
      const begunAt = this.world.now();
      const waitS = isFirst ? 0 : WAIT_S;
      this.world.cancel(this.timer);
      this.timer = this.world.after(() => this.lose({ code: "slow" }), PATIENCE_MS + waitS * 1_000);
      const { response, refusal, page } = await askPage(this, isFirst, waitS, mine.signal);
      if (this.current !== mine) return;
      if (!page) return this.lose(refusal ?? { code: "format" }, response);
      this.world.cancel(this.timer);
      if (isFirst) {
        this.openedAt = begunAt;
        this.become("live", null);
      }
      this.hear();
      for (const event of page.events) if (this.current === mine) this.take(event);
      if (this.current !== mine) return;
      this.lastEventId = page.cursor;
      if (page.isLast) return this.lose({ code: "dismissed" });
      if (this.world.now() >= this.lookAt) void this.look(mine);
      await this.pause(begunAt + (page.events.length > 0 ? PACE_MS : EMPTY_PACE_MS) - this.world.now());
    }
  }

  /** @param {number} ms @returns {Promise<void>} which never comes where the stream is closed meanwhile */
  pause(ms) {
    return new Promise((resolve) => (this.timer = this.world.after(resolve, Math.max(0, ms))));
  }

  /**
   * Looks whether streams get through by now, and goes back to them then; polls go on meanwhile.
   * @param {AbortController} mine
   */
  async look(mine) {
    this.lookAt = Infinity;
    const end = new AbortController();
    const abort = () => end.abort();
    mine.signal.addEventListener("abort", abort, { signal: end.signal });
    const timer = this.world.after(abort, HELD_AFTER * (this.heartbeatMs || USUAL_HEARTBEAT_MS) + FLOW_MS);
    const flows = await this.streamFlows(end.signal).catch(() => false);
    this.world.cancel(timer);
    abort();
    this.lookEveryMs = Math.min(2 * this.lookEveryMs, LAST_LOOK_MS);
    this.lookAt = this.world.now() + this.lookEveryMs;
    if (!flows || this.current !== mine) return;
    this.polls = false;
    this.close();
    this.connect(); // it resumes by the last event ID, whatever the look itself was sent
  }

  /** @param {AbortSignal} signal */
  async streamFlows(signal) {
    const response = await this.request(signal);
    const openedAt = this.world.now();
    if ((await refusalOf(response, EVENT_STREAM)) || !response.body) return false;
    const reader = response.body.getReader();
    while (!(await reader.read()).done) if (this.world.now() - openedAt > FLOW_MS) return true;
    return false;
  }

  // --- the end of a stream ------------------------------------------------------------------------

  /**
   * Ends this stream and plans the next.
   * @param {Cause} cause
   * @param {Response} [response] the refusal, which may say when to come back
   */
  lose(cause, response) {
    const now = this.world.now();
    this.close();
    // 204: the standard says so.
    if (cause.code === "dismissed" || (cause.code === "ended" && this.hasEnded)) {
      return this.become("stopped", { code: "dismissed" });
    }
    if (now - this.liveAt >= GOOD_MS) this.attempt = 0;
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
