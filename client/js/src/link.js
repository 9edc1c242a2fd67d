// A page's link to the stream of events: the only thing of this folder that the page uses.
//
//     const link = openLink({ url, onBatch, onState });
//     link.connect();
//
// One stream serves all tabs of the browser. So its state is shared, and what a tab does to it is done
// for all of them: `connect()` opens it everywhere, `disconnect()` stops it everywhere, and every tab
// is told the same state. A stream that somebody stopped stays so until somebody connects, or loads a
// page, which calls `connect()` by itself.
//
// A tab that joins first gets what the stream keeps, as `history`. A tab that is reloaded first gets
// what it showed before, as far as the worker or else the hub still has it, as `history` too, and then
// what it missed, as news.

/** @import { Cause } from "./stream.js" */
/** @import { WorkerOptions } from "./place.js" */
/** @import { Batch, Command, Counts, Delivery, LinkState, Port, Recent, Report, Sharing, Unshared } from "./protocol.js" */
/** @import { StreamState } from "./stream.js" */
import { holdAlive, onceGone } from "./alive.js";
import { delayBefore } from "./backoff.js";
import { Bookmark } from "./bookmark.js";
import { listenToPage } from "./page.js";
import { portOfPage, portOfWorker, whyNoWorker } from "./place.js";
import { recallPlace, rememberPlace } from "./session.js";

/**
 * @typedef {object} Link
 * @property {() => void} connect opens the stream now, unless it is open; also "retry now"
 * @property {() => void} disconnect stops the stream, in all tabs, until the next connect()
 * @property {() => void} wake tries at once if the stream waits for its next try. The link does so by
 *   itself when the browser comes back online and when the tab becomes visible
 * @property {() => void} close ends the link; the stream goes on for the other tabs
 */

/**
 * @typedef {LinkTarget & WorkerOptions} LinkOptions
 *
 * @typedef {object} LinkTarget
 * @property {string} url the absolute address of the event stream
 * @property {Record<string, string>} [headers] that its requests bear besides. With any, the tab has a stream of its
 *   own: who another tab is, and what it may read, may differ
 * @property {string} [storageKey] under which the tab remembers its place over a reload; "" is not at all
 * @property {string} [lastEventId] where to go on, whatever the tab remembers
 * @property {boolean} [history] whether the page shall be shown again what it, or other tabs, showed before
 * @property {Recent} [recent] what the address of the stream asks for first: a tab that joins later gets it too
 * @property {(batch: Batch) => void} onBatch called at most 20 times a second, never with an empty batch
 * @property {(state: LinkState) => void} onState called soon with the first state, then at each change
 */

/** How long a worker may take to load and answer; it comes from where the page came from. */
const HELLO_MS = 10_000;
/** A visible tab asks each second whether the worker lives; a hidden one needn't know so soon. */
const PING_MS = 1_000;
const HIDDEN_PINGS = 10;
/** So many pings without an answer mean that it doesn't. */
const UNANSWERED = 4;
/** A worker that ran once and then can't be loaded (the hub is away) is tried so often. */
const WORKER_TRIES = 6;

/** Begins to listen. Calls nothing back before it has returned. @param {LinkOptions} options @returns {Link} */
export function openLink(options) {
  const link = new TabLink(options);
  return {
    connect: () => link.connect(),
    disconnect: () => link.disconnect(),
    wake: () => link.wake(),
    close: () => link.close(),
  };
}

/** What a page may show until the first state comes. @type {LinkState} */
export const NO_STATE = {
  phase: "connecting",
  cause: null,
  since: 0,
  retryAt: null,
  transport: "stream",
  open: false,
  shared: false,
  tabs: 1,
  unshared: null,
};

class TabLink {
  /** @param {LinkOptions} options */
  constructor(options) {
    const { url, headers = {}, storageKey = `tocsin.place ${url}`, lastEventId, history = true } = options;
    this.url = url;
    this.headers = headers;
    this.storageKey = storageKey;
    this.history = history;
    this.recent = options.recent;
    /** @type {WorkerOptions} */
    this.options = { trustedTypes: "tocsin", ...options };
    /** @type {Unshared | null} */
    this.unshared = Object.keys(headers).length > 0 ? "credentials" : whyNoWorker(this.options);
    this.onBatch = options.onBatch;
    this.onState = options.onState;
    this.bookmark = new Bookmark(lastEventId ? { first: "", last: lastEventId } : recallPlace(storageKey));
    /** @type {Port | null} null between two workers */
    this.port = null;
    /** Whether the stream should be open, as far as this tab knows. */
    this.wanted = false;
    /** The locks: this tab's, and the worker's. */
    this.alive = "";
    this.workerAlive = "";
    this.isGreeted = false;
    this.wasGreeted = false;
    this.failures = 0;
    this.unanswered = 0;
    this.ticks = 0;
    this.timer = 0;
    this.ending = new AbortController();
    this.openWorker();
    holdAlive((name) => this.nameLock(name));
    this.listen();
  }

  // --- what the page does -------------------------------------------------------------------------

  connect() {
    this.wanted = true;
    if (this.port) this.say({ do: "connect" });
    else this.openWorker();
  }

  disconnect() {
    this.wanted = false;
    this.say({ do: "disconnect" });
    if (!this.port) this.stand("stopped", { code: "user" });
  }

  wake() {
    if (this.port) this.say({ do: "wake" });
    else if (this.wanted) this.openWorker();
  }

  close() {
    this.ending.abort();
    this.leave();
    this.drop();
  }

  // --- what the browser does ----------------------------------------------------------------------

  listen() {
    const { signal } = this.ending;
    const pinging = setInterval(() => this.ping(), PING_MS);
    signal.addEventListener("abort", () => clearInterval(pinging));
    const on = {
      wake: () => this.wake(),
      offline: () => this.say({ do: "offline" }),
      save: () => this.save(),
      leave: () => this.leave(),
      back: () => this.attach(),
    };
    listenToPage(on, signal);
  }

  leave() {
    this.save();
    this.say({ do: "leave" });
  }

  save() {
    rememberPlace(this.storageKey, this.bookmark.place);
  }

  // --- the worker's life --------------------------------------------------------------------------

  openWorker() {
    this.drop();
    if (this.unshared) return this.useOwn(this.unshared);
    const port = portOfWorker(this.url, this.options, () => port === this.port && this.fail());
    if (!port) return this.useOwn("failed");
    this.timer = Number(setTimeout(() => this.fail(), HELLO_MS));
    this.use(port);
  }

  /** Goes on with a stream of this page's own. @param {Unshared} why */
  useOwn(why) {
    this.drop();
    this.unshared = why;
    this.use(portOfPage({ headers: this.headers }));
  }

  /** @param {Port} port */
  use(port) {
    this.port = port;
    this.isGreeted = false;
    this.unanswered = 0;
    port.onmessage = ({ data }) => this.hear(data);
    this.attach();
  }

  attach() {
    const { bookmark, history, url, wanted: connect } = this;
    const { first, last } = bookmark.place;
    const fresh = history && bookmark.isFresh;
    const recent = last === "" ? (this.recent ?? null) : null;
    this.say({ do: "attach", url, connect, fresh, first, last, recent });
    if (this.alive) this.say({ do: "alive", alive: this.alive });
  }

  /** Lets go of the port. */
  drop() {
    clearTimeout(this.timer);
    this.workerAlive = "";
    if (!this.port) return;
    this.port.onmessage = null;
    this.port.close();
    this.port = null;
  }

  /** The worker doesn't load, or doesn't answer. */
  fail() {
    if (this.isGreeted || this.ending.signal.aborted) return;
    this.failures += 1;
    this.drop();
    if (!this.wasGreeted || this.failures > WORKER_TRIES) return this.useOwn("failed");
    const delay = delayBefore(this.failures, null, Math.random());
    this.timer = Number(setTimeout(() => this.openWorker(), delay));
    this.stand("waiting", { code: "network" }, Date.now() + delay);
  }

  /** The state while there is no worker to tell it. @param {LinkState["phase"]} phase @param {Cause} cause */
  stand(phase, cause, /** @type {number | null} */ retryAt = null) {
    if (phase === "stopped") clearTimeout(this.timer);
    this.onState({ ...NO_STATE, phase, cause, since: Date.now(), retryAt, shared: true });
  }

  /** The worker has died under us, as it does when the browser ends the process that it ran in. */
  replace() {
    if (!this.ending.signal.aborted) this.openWorker();
  }

  ping() {
    this.ticks += 1;
    if (!this.port || (document.hidden && this.ticks % HIDDEN_PINGS)) return;
    this.save();
    if (this.unanswered >= UNANSWERED) return this.replace();
    this.unanswered += 1;
    this.say({ do: "ping" });
  }

  // --- what is said -------------------------------------------------------------------------------

  /** @param {Command} command */
  say(command) {
    this.port?.postMessage(command);
  }

  /** @param {string} alive */
  nameLock(alive) {
    this.alive = alive;
    if (alive) this.say({ do: "alive", alive });
  }

  /** @param {Report} report */
  hear(report) {
    this.unanswered = 0;
    if (report.tell === "hello") this.hearHello(report.alive);
    else if (report.tell === "refuse") this.useOwn("state");
    else if (report.tell === "state") this.hearState(report.state);
    else if (report.tell === "batch") this.hearBatch(report.delivery, report.counts);
  }

  /** @param {string} alive */
  hearHello(alive) {
    clearTimeout(this.timer);
    this.isGreeted = true;
    this.wasGreeted = true;
    this.failures = 0;
    if (alive !== this.workerAlive) onceGone(alive, () => alive === this.workerAlive && this.replace());
    this.workerAlive = alive;
  }

  /** @param {StreamState & Sharing} state */
  hearState(state) {
    this.wanted = state.phase !== "stopped";
    this.onState({ ...state, unshared: this.unshared });
  }

  /** @param {Delivery} delivery @param {Counts} counts */
  hearBatch({ events: sent, kept, dropped }, { floor, ...totals }) {
    const { events, history } = this.bookmark.take(sent, kept);
    this.bookmark.first = floor;
    if (events.length > 0) this.onBatch({ events, history, dropped, totals });
    this.say({ do: "took" });
  }
}
