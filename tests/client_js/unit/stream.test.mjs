import assert from "node:assert/strict";
import { test } from "node:test";
import { World, WELCOME, eventOf } from "./world.mjs";

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

test("a stream that ends for its age is no refusal, and comes back soon", async () => {
  const world = new World();
  world.stream.connect();
  await world.act("accept");
  await world.act("send", 'retry: 8000\nevent: busy\ndata: {"reason": "age", "retry": 8000}\n\n');
  await world.act("end");
  assert.deepEqual(world.stream.state.cause, { code: "ended" });
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

const ended = (topic) => `event: end\ndata: {"topic": "${topic}", "id": "5-1"}\n\n`;

for (const [asked, topics, phase] of [
  ["topic=a&topic=b", ["a", "b"], "stopped"],
  ["topic=a&topic=b", ["a"], "waiting"],
  ["topic=a&topic=b*", ["a", "b1", "b2"], "waiting"],
  ["type=x", ["a"], "waiting"],
]) {
  test(`a stream of ${asked} that ends after the end of ${topics} is ${phase}`, async () => {
    const world = new World(`http://hub/events?${asked}`);
    await world.open();
    await world.act("send", topics.map(ended).join(""));
    await world.act("end");
    assert.equal(world.stream.state.phase, phase);
  });
}

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
  assert.equal(world.requests.length, 1);
});

test("a hub that takes requests and says nothing is given up after a while", async () => {
  const world = new World();
  world.stream.connect();
  await world.pass(40_000);
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

test("a stream whose gap was announced and cut off asks from where it was before", async () => {
  const world = new World();
  await world.open();
  await world.act("send", eventOf("5-1"));
  await world.act("cut");
  await world.pass(2_000);
  await world.act("accept");
  await world.act("send", 'event: connection\ndata: {"missed": null}\nid: 6-0\n\n');
  await world.act("cut");
  await world.pass(10_000);
  assert.equal(world.last.headers["Last-Event-ID"], "5-1");
  await world.act("accept");
  const gap = 'event: gap\ndata: {"reason": "restart"}\n\n';
  await world.act("send", `event: connection\ndata: {"missed": null}\nid: 6-0\n\n${gap}`);
  await world.act("cut");
  await world.pass(20_000);
  assert.equal(world.last.headers["Last-Event-ID"], "6-0");
});

test("after a gap of a log that never gave our ID, its events are taken", async () => {
  const world = new World();
  await world.open();
  await world.act("send", eventOf("5-9"));
  await world.act("cut");
  await world.pass(2_000);
  await world.act("accept");
  const welcome = 'event: connection\ndata: {"missed": null}\nid: 5-0\n\n';
  await world.act("send", `${welcome}event: gap\ndata: {"reason": "unknown"}\n\n${eventOf("5-1")}`);
  assert.equal(world.events.at(-1), "5-1");
});

test("a browser that goes offline makes an open stream doubtful, until something arrives", async () => {
  const world = new World();
  await world.open();
  world.stream.goOffline();
  assert.deepEqual([world.stream.state.phase, world.stream.state.cause.code], ["stalled", "offline"]);
  await world.act("send", ":\n");
  assert.equal(world.stream.state.phase, "live");
});

test("a browser that goes offline while the stream waits keeps the countdown", async () => {
  const world = new World();
  world.stream.connect();
  await world.act("fail");
  const { retryAt } = world.stream.state;
  world.stream.goOffline();
  assert.deepEqual([world.stream.state.cause, world.stream.state.retryAt], [{ code: "offline" }, retryAt]);
});

test("waking replaces a doubtful stream, and leaves a good one alone", async () => {
  const world = new World();
  await world.open();
  world.stream.wake();
  assert.equal(world.requests.length, 1);
  world.stream.goOffline();
  world.stream.wake();
  assert.equal(world.requests.length, 2);
  assert.equal(world.stream.state.phase, "connecting");
});

test("a good stream starts the waits anew, though it was stalled in the end", async () => {
  const world = new World();
  for (const wait of [1_000, 2_000, 4_000]) {
    world.stream.connect();
    await world.act("fail");
    await world.pass(wait);
  }
  await world.open();
  await world.pass(6_000);
  await world.act("send", ":\n");
  await world.pass(26_000);
  assert.deepEqual(world.stream.state.cause, { code: "silent" });
  assert.equal(world.stream.state.retryAt - world.stream.state.since, 2_000);
});

test("the log is read anew from another place, at once if a stream is open", async () => {
  const world = new World();
  await world.open();
  world.stream.resumeAfter("5-7");
  assert.equal(world.requests.length, 2);
  assert.equal(world.last.headers["Last-Event-ID"], "5-7");
});

for (const type of ["text/event-stream", "text/event-stream;", "Text/Event-Stream; charset=x", "text/event-stream;x bogus"]) {
  test(`${type} is an event stream`, async () => {
    const world = new World();
    world.stream.connect();
    await world.act("refuse", 200, { "Content-Type": type }, WELCOME);
    assert.equal(world.states.includes("live"), true);
  });
}

for (const type of ["text/x bogus", "text/event-stream bogus", "text/event-streams", "application/json"]) {
  test(`${type} is no event stream`, async () => {
    const world = new World();
    world.stream.connect();
    await world.act("refuse", 200, { "Content-Type": type }, WELCOME);
    assert.deepEqual(world.stream.state.cause, { code: "format" });
  });
}
