// The client: an EventTarget with EventSource's members, for a Tocsin hub or any server of event streams.
//
//     import { TocsinSource } from "tocsin-client";
//     const source = new TocsinSource("https://hub.example/events", { topics: ["orders/*"], storageKey: "orders" });
//     source.addEventListener("notification", ({ data, lastEventId }) => show(JSON.parse(data)));
//     source.addEventListener("gap", () => reload());
//     source.addEventListener("tocsin:state", ({ detail }) => showState(detail));

/** @import { LinkState, Unshared } from "./protocol.js" */
/** @import { StreamEvent } from "./parser.js" */
/** @import { WorkerOptions } from "./place.js" */
/** @import { Draft, PublishOptions } from "./publish.js" */
/** @import { Credentials } from "./requests.js" */
import { isHubs } from "./cursor.js";
import { NO_STATE, openLink } from "./link.js";
import { listenToPage } from "./page.js";
import { whyNoWorker } from "./place.js";
import { publish } from "./publish.js";
import { worldWith } from "./requests.js";
import { recallPlace, rememberPlace } from "./session.js";
import { HubStream } from "./stream.js";

export { Channel } from "./channel.js";
export { NO_STATE, openLink } from "./link.js";
export { PublishError } from "./publish.js";

/**
 * @typedef {Asked & Credentials & WorkerOptions} SourceOptions
 *
 * @typedef {object} Asked
 * @property {string[]} [topics] topics, or what topics begin with and a `*`
 * @property {string[]} [types] event types
 * @property {number} [last] a new stream first gets the newest so many events
 * @property {number} [lastPerTopic] a new stream first gets the newest so many events of each topic
 * @property {string} [lastEventId] where to go on
 * @property {string} [storageKey] remembers in the session storage where to go on when the page is loaded anew
 * @property {"auto" | "never"} [shared] whether tabs share one stream where they can
 */

/**
 * What is told to whom; `string` is every type that somebody publishes, and the hub's own.
 * @typedef {boolean | AddEventListenerOptions} ListenOptions
 * @typedef {{
 *   (type: "tocsin:state", listener: (event: CustomEvent<LinkState>) => void, options?: ListenOptions): void;
 *   (type: "open" | "error", listener: (event: Event) => void, options?: ListenOptions): void;
 *   (type: string, listener: (event: MessageEvent<string>) => void, options?: ListenOptions): void;
 * }} Listen
 * @typedef {{addEventListener: Listen, removeEventListener: Listen, dispatchEvent(event: Event): boolean}} Target
 */

const SAVE_EVERY_MS = 1_000;

export class TocsinSource extends /** @type {new () => Target} */ (EventTarget) {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSED = 2;

  /** @type {((event: Event) => void) | null} */
  onopen = null;
  /** @type {((event: MessageEvent<string>) => void) | null} */
  onmessage = null;
  /** @type {((event: Event) => void) | null} */
  onerror = null;
  /** 0 connecting, or waiting for the next try; 1 open; 2 closed. */
  readyState = TocsinSource.CONNECTING;
  lastEventId = "";
  /** @type {LinkState} as in the last `tocsin:state` */
  state = NO_STATE;

  #ending = new AbortController();
  /** @type {{connect: () => void, close: () => void}} */
  #stream;
  #world;

  /**
   * Opens the stream soon: whoever adds listeners at once misses nothing.
   * @param {string | URL} url of the event stream, such as `https://hub.example/events`
   * @param {SourceOptions} [options]
   */
  constructor(url, options = {}) {
    super();
    this.url = addressOf(url, options);
    this.withCredentials = options.withCredentials ?? false;
    this.#world = worldWith(options);
    this.addEventListener("open", (event) => this.onopen?.(event));
    this.addEventListener("message", (event) => this.onmessage?.(event));
    this.addEventListener("error", (event) => this.onerror?.(event));
    const { storageKey = "" } = options;
    this.lastEventId = options.lastEventId || recallPlace(storageKey).last;
    const unshared = whyUnshared(options, this.lastEventId);
    this.#stream = unshared ? this.#openOwn(storageKey, unshared) : this.#openShared(storageKey, options);
    queueMicrotask(() => this.readyState !== TocsinSource.CLOSED && this.#stream.connect());
  }

  /** Tries now, where it waits for its next try or was stopped; not once it is closed. */
  retry() {
    if (!this.#ending.signal.aborted) this.#stream.connect();
  }

  /** Ends it for good; no event comes after that. */
  close() {
    this.readyState = TocsinSource.CLOSED;
    this.state = { ...this.state, phase: "stopped", cause: { code: "user" }, retryAt: null, open: false };
    this.#ending.abort();
    this.#stream.close();
  }

  /**
   * Publishes an event, or several as one batch; while nobody knows whether it was published, tries again under one
   * idempotency key.
   * @param {Draft | Draft[]} event
   * @param {PublishOptions} [options]
   * @returns {Promise<Record<string, unknown>>} what the hub answers: `id`, or `ids`, and `sentTo`
   * @throws {import("./publish.js").PublishError}
   */
  publish(event, options) {
    return publish(this.url, event, this.#world, options);
  }

  /** @param {string} storageKey @param {Unshared} unshared */
  #openOwn(storageKey, unshared) {
    const sharing = { shared: false, unshared, tabs: 1 };
    const stream = new HubStream(
      this.url,
      (event) => this.#take(event),
      (state) => this.#become({ ...state, ...sharing }),
      this.#world,
    );
    stream.resumeAfter(this.lastEventId);
    const save = () => rememberPlace(storageKey, { first: "", last: stream.lastEventId });
    const wake = () => stream.wake();
    const saving = storageKey ? setInterval(save, SAVE_EVERY_MS) : undefined;
    this.#ending.signal.addEventListener("abort", () => (clearInterval(saving), save()));
    listenToPage({ wake, offline: () => stream.goOffline(), save, leave: save, back: wake }, this.#ending.signal);
    return { connect: () => stream.connect(), close: () => stream.close() };
  }

  /** @param {string} storageKey @param {SourceOptions} options */
  #openShared(storageKey, { worker, trustedTypes, last, lastPerTopic }) {
    return openLink({
      url: this.url,
      storageKey,
      lastEventId: this.lastEventId,
      trustedTypes,
      worker,
      history: false,
      ...((last || lastPerTopic) && { recent: { last, lastPerTopic } }),
      onState: (state) => this.#become(state),
      onBatch: ({ events, dropped }) => {
        if (dropped > 0) this.#takeGap(dropped);
        for (const event of events) this.#take(event);
      },
    });
  }

  /** @param {number} missed events that the other tabs had while this one was frozen */
  #takeGap(missed) {
    const data = JSON.stringify({ reason: "evicted", requested: this.lastEventId, oldest: null, missed });
    this.#take({ type: "gap", data, id: this.lastEventId, ownId: false });
  }

  /** @param {StreamEvent} event */
  #take({ type, data, id }) {
    if (this.#ending.signal.aborted) return;
    this.lastEventId = id;
    this.dispatchEvent(new MessageEvent(type, { data, lastEventId: id, origin: new URL(this.url).origin }));
  }

  /** @param {LinkState} state */
  #become(state) {
    // A shared stream that nobody has opened yet is stopped too, without a cause.
    if (this.#ending.signal.aborted || (state.phase === "stopped" && !state.cause)) return;
    const before = this.state.phase;
    const wasOpen = this.readyState === TocsinSource.OPEN;
    this.state = state;
    const { CONNECTING, OPEN, CLOSED } = TocsinSource;
    this.readyState = state.open ? OPEN : state.phase === "stopped" ? CLOSED : CONNECTING;
    this.dispatchEvent(new CustomEvent("tocsin:state", { detail: state }));
    if (state.open && !wasOpen) this.dispatchEvent(new Event("open"));
    if (!state.open && state.phase !== "connecting" && state.phase !== before) this.dispatchEvent(new Event("error"));
  }
}

/** @param {string | URL} url @param {SourceOptions} options @returns {string} absolute, with what is asked for */
function addressOf(url, { topics = [], types = [], last, lastPerTopic }) {
  const address = new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href);
  for (const topic of topics) address.searchParams.append("topic", topic);
  for (const type of types) address.searchParams.append("type", type);
  if (last !== undefined) address.searchParams.set("last", String(last));
  if (lastPerTopic !== undefined) address.searchParams.set("last_per_topic", String(lastPerTopic));
  return address.href;
}

/** @param {SourceOptions} options @param {string} lastEventId @returns {Unshared | null} */
function whyUnshared({ shared = "auto", headers, token, withCredentials, worker }, lastEventId) {
  // IDs of another server can't be compared, so nobody knows which tab has what.
  if (shared === "never" || (lastEventId && !isHubs(lastEventId))) return "asked";
  if (headers || token || withCredentials) return "credentials";
  return whyNoWorker({ worker });
}
