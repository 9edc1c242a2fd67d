// A hub without a network, and a clock that is moved by hand.
import { setMaxListeners } from "node:events";
import { HubStream } from "../../../client/js/src/stream.js";

export const WELCOME =
  'retry: 2000\nevent: connection\ndata: {"id": 1, "clients": 1, "heartbeat": 10}\nid: 5-0\n\n';

export class World {
  constructor(url = "http://hub/events") {
    this.time = 1_000_000;
    this.timers = [];
    this.requests = [];
    this.isOnline = true;
    this.states = [];
    this.events = [];
    /** As HubStream and Channel take it. */
    this.outside = {
      fetch: (url, init) => this.request(url, init),
      now: () => this.time,
      random: () => 0,
      online: () => this.isOnline,
      after: (run, ms) => this.timers.push({ run, at: this.time + ms }),
      cancel: (timer) => timer && (this.timers[timer - 1].run = () => {}),
    };
    this.stream = new HubStream(
      url,
      (event) => this.events.push(event.data),
      (state) => this.states.at(-1) === state.phase || this.states.push(state.phase),
      this.outside,
    );
  }

  request(url, init) {
    return new Promise((resolve, reject) => {
      const request = { url: new URL(url), headers: init.headers ?? {} };
      request.refuse = (status, headers, body = "") => resolve(new Response(body, { status, headers }));
      request.fail = () => reject(new TypeError("failed"));
      request.accept = () => resolve(this.streamOf(request, init.signal));
      // Each poll of a stream listens to the same signal.
      if (init.signal) setMaxListeners(0, init.signal);
      init.signal?.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
      this.requests.push(request);
    });
  }

  streamOf(request, signal) {
    const body = new ReadableStream({
      start(controller) {
        const encoder = new TextEncoder();
        request.send = (text) => controller.enqueue(encoder.encode(text));
        request.sendBytes = (bytes) => controller.enqueue(bytes);
        request.end = () => controller.close();
        request.cut = () => controller.error(new TypeError("network error"));
        signal?.addEventListener("abort", () => {
          try {
            controller.error(signal.reason);
          } catch {
            // it was closed already
          }
        });
      },
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream; charset=utf-8" } });
  }

  get last() {
    return this.requests.at(-1);
  }

  /** Lets every promise that can settle do so. */
  settle() {
    return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  }

  async pass(ms) {
    const end = this.time + ms;
    for (;;) {
      const due = this.timers.filter(({ at, done }) => !done && at <= end);
      if (due.length === 0) break;
      const next = due.reduce((first, timer) => (timer.at < first.at ? timer : first));
      next.done = true;
      this.time = next.at;
      next.run();
      await this.settle();
    }
    this.time = end;
  }

  /** Connects and is welcomed. */
  async open() {
    if (this.requests.length === 0) this.stream.connect();
    this.last.accept();
    await this.settle();
    this.last.send(WELCOME);
    await this.settle();
  }

  /** Answers a poll. */
  async answer(page) {
    const body = JSON.stringify({ events: [], gap: null, ...page });
    await this.act("refuse", 200, { "Content-Type": "application/json" }, body);
  }

  async act(name, ...values) {
    this.last[name](...values);
    await this.settle();
  }
}

/** A published event as the history has it. */
export const kept = (id) => ({ id, topic: "default", type: "note", time: 0, data: id });

/** The block of a published event whose data is its ID. */
export const eventOf = (id) => `event: note\ndata: ${id}\nid: ${id}\n\n`;
