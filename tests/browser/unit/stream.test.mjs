import assert from "node:assert/strict";
import { test } from "node:test";
import { HubStream } from "../../../frontend/js/stream/stream.js";

const WELCOME =
  'retry: 2000\nevent: connection\ndata: {"id": 1, "clients": 1, "heartbeat": 10}\nid: 5-0\n\n';

/** A hub without a network and a clock that is moved by hand. */
class World {
  constructor() {
    this.time = 1_000_000;
    this.timers = [];
    this.requests = [];
    this.isOnline = true;
    this.states = [];
    this.events = [];
    this.stream = new HubStream(
      "/events",
      (event) => this.events.push(event.data),
      (state) => this.states.push(state.phase),
      {
        fetch: (url, init) => this.request(url, init),
        now: () => this.time,
        random: () => 0,
        online: () => this.isOnline,
        after: (run, ms) => this.timers.push({ run, at: this.time + ms }),
        cancel: (timer) => timer && (this.timers[timer - 1].run = () => {}),
      },
    );
  }

  request(url, init) {
    return new Promise((resolve, reject) => {
      const request = { headers: init.headers };
      request.refuse = (status, headers, body = "") => resolve(new Response(body, { status, headers }));
      request.fail = () => reject(new TypeError("failed"));
      request.accept = () => resolve(this.streamOf(request, init.signal));
      init.signal.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
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
        signal.addEventListener("abort", () => {
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

  async act(name, ...values) {
    this.last[name](...values);
    await this.settle();
  }
}

const eventOf = (id) => `event: note\ndata: ${id}\nid: ${id}\n\n`;

test("it is live once the hub has welcomed it", async () => {
  const world = new World();
  await world.open();
  assert.deepEqual(world.states, ["connecting", "live"]);
  assert.equal("Last-Event-ID" in world.last.headers, false);
});

test("a stream that is cut resumes after its last event, in the time that the hub asked for", async () => {
  const world = new World();
  await world.open();
  await world.act("send", eventOf("5-1") + eventOf("5-2") + "id: 5-3\ndata: cut off");
  await world.act("cut");
  assert.equal(world.stream.state.phase, "waiting");
  assert.equal(world.stream.state.cause.code, "network");
  assert.equal(world.stream.state.retryAt, world.time + 2_000);
  await world.pass(2_000);
  assert.equal(world.requests.length, 2);
  assert.equal(world.last.headers["Last-Event-ID"], "5-2");
});

test("a stream that is cut before its first event resumes from the welcome's position", async () => {
  const world = new World();
  await world.open();
  await world.act("cut");
  await world.pass(2_000);
  assert.equal(world.last.headers["Last-Event-ID"], "5-0");
});

test("an event that comes twice is taken once", async () => {
  const world = new World();
  await world.open();
  await world.act("send", eventOf("5-1") + eventOf("5-2"));
  await world.act("cut");
  await world.pass(2_000);
  await world.act("accept");
  await world.act("send", WELCOME + eventOf("5-2") + eventOf("5-3") + eventOf("6-1"));
  assert.deepEqual(world.events.filter((data) => !data.startsWith("{")), ["5-1", "5-2", "5-3", "6-1"]);
});

test("events without an ID, such as presence, always pass", async () => {
  const world = new World();
  await world.open();
  await world.act("send", eventOf("5-1") + "event: presence\ndata: a\n\nevent: presence\ndata: b\n\n");
  assert.deepEqual(world.events.slice(1), ["5-1", "a", "b"]);
});

test("the waits grow while the hub is away, and a good stream starts them anew", async () => {
  const world = new World();
  world.stream.connect();
  const waits = [];
  for (let n = 0; n < 3; n += 1) {
    await world.act("fail");
    waits.push(world.stream.state.retryAt - world.time);
    await world.pass(waits.at(-1));
  }
  assert.deepEqual(waits, [1_000, 2_000, 4_000]);
  await world.open();
  await world.pass(6_000);
  await world.act("end");
  assert.equal(world.stream.state.retryAt - world.time, 2_000);
});

test("busy is a refusal with a reason, and the hub sets the pace", async () => {
  const world = new World();
  world.stream.connect();
  await world.act("fail");
  await world.pass(1_000);
  await world.act("fail");
  await world.pass(2_000);
  await world.act("accept");
  await world.act("send", 'retry: 8000\nevent: busy\ndata: {"reason": "full", "retry": 8000}\n\n');
  await world.act("end");
  assert.deepEqual(world.stream.state.cause, { code: "full" });
  assert.equal(world.stream.state.retryAt - world.time, 8_000);
  assert.deepEqual(world.events, []);
});

test("an HTTP refusal tells its status and the hub's words, and Retry-After is obeyed", async () => {
  const world = new World();
  world.stream.connect();
  await world.act("refuse", 503, { "Retry-After": "40" }, '{"error": "in maintenance"}');
  assert.deepEqual(world.stream.state.cause, { code: "http", status: 503, detail: "in maintenance" });
  assert.equal(world.stream.state.retryAt - world.time, 40_000);
});

test("an answer that is no event stream is refused", async () => {
  const world = new World();
  world.stream.connect();
  await world.act("refuse", 200, { "Content-Type": "text/html" });
  assert.deepEqual(world.stream.state.cause, { code: "format" });
});

test("the status 204 ends it until somebody connects again", async () => {
  const world = new World();
  world.stream.connect();
  await world.act("refuse", 204, {}, null);
  assert.equal(world.stream.state.phase, "stopped");
  await world.pass(120_000);
  assert.equal(world.requests.length, 1);
});

test("disconnecting stops it, also while it waits, and connecting goes on from there", async () => {
  const world = new World();
  await world.open();
  await world.act("send", eventOf("5-1"));
  world.stream.disconnect();
  await world.pass(120_000);
  assert.deepEqual(world.stream.state.cause, { code: "user" });
  assert.equal(world.requests.length, 1);
  world.stream.connect();
  assert.equal(world.last.headers["Last-Event-ID"], "5-1");
  await world.act("fail");
  world.stream.disconnect();
  await world.pass(120_000);
  assert.equal(world.requests.length, 2);
});

test("connecting twice opens one stream", () => {
  const world = new World();
  world.stream.connect();
  world.stream.connect();
  assert.equal(world.requests.length, 1);
});

test("waking tries at once when it waits, and never after a stop", async () => {
  const world = new World();
  world.isOnline = false;
  world.stream.connect();
  await world.act("fail");
  assert.equal(world.stream.state.cause.code, "offline");
  world.stream.wake();
  assert.equal(world.requests.length, 2);
  world.stream.disconnect();
  world.stream.wake();
  assert.equal(world.requests.length, 2);
});

test("silence is noticed: first stalled, then a new stream", async () => {
  const world = new World();
  await world.open();
  await world.pass(14_000);
  assert.equal(world.stream.state.phase, "live");
  await world.pass(3_000);
  assert.equal(world.stream.state.phase, "stalled");
  await world.act("send", ":\n");
  assert.equal(world.stream.state.phase, "live");
  await world.pass(26_000);
  assert.equal(world.stream.state.phase, "waiting");
  assert.deepEqual(world.stream.state.cause, { code: "silent" });
});

test("a hub that takes the request and says nothing is given up after a while", async () => {
  const world = new World();
  world.stream.connect();
  await world.act("accept");
  await world.pass(20_000);
  assert.deepEqual([world.stream.state.phase, world.stream.state.cause.code], ["waiting", "slow"]);
});

test("a character that is cut between two chunks arrives whole", async () => {
  const world = new World();
  await world.open();
  const bytes = new TextEncoder().encode("data: 😀\n\n");
  await world.act("sendBytes", bytes.slice(0, 8));
  await world.act("sendBytes", bytes.slice(8));
  assert.equal(world.events.at(-1), "😀");
});
