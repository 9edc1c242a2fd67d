import assert from "node:assert/strict";
import { test } from "node:test";
import { pollUrl } from "../../../client/js/src/poll.js";
import { World, eventOf, kept } from "./world.mjs";

/** A stream that is open and held back, whose polls have begun at the cursor 5-0. */
async function polling(url) {
  const world = new World(url);
  await world.open();
  await world.pass(21_000); // more than two heartbeats
  await world.answer({ cursor: "5-0" });
  await world.answer({ cursor: "5-0" });
  return world;
}

test("an open stream that is silent for two heartbeats, and never brought anything late, is held back: it polls", async () => {
  const world = await polling();
  assert.deepEqual(world.states, ["connecting", "live", "stalled", "connecting", "live"]);
  const { transport, open, cause } = world.stream.state;
  assert.deepEqual([transport, open, cause], ["poll", true, null]);
  assert.equal(world.requests[1].url.pathname, "/api/history");
});

test("a stream that isn't even answered is held back too, where polls are answered", async () => {
  const world = new World();
  world.stream.connect();
  await world.pass(20_000);
  await world.answer({ cursor: "5-7", events: [kept("5-7")] });
  await world.answer({ cursor: "5-7", events: [kept("5-7")] });
  assert.equal(world.stream.state.transport, "poll");
  assert.equal(world.events.length, 1); // the welcome: nothing that was published before is news
  await world.pass(1_000);
  assert.equal(world.last.url.searchParams.get("after"), "5-7");
  assert.equal(world.last.url.searchParams.get("wait"), "25");
});

test("where nothing is answered, the hub is away, and no word is said of polls", async () => {
  const world = new World();
  world.stream.connect();
  await world.pass(20_000);
  await world.act("fail");
  assert.deepEqual([world.stream.state.phase, world.stream.state.cause.code], ["waiting", "slow"]);
  assert.equal(world.stream.state.transport, "stream");
});

test("events of polls come once and in order, each poll after the cursor of the last answer", async () => {
  const world = await polling();
  world.events.length = 0;
  await world.pass(1_000);
  await world.answer({ cursor: "5-4", events: [kept("5-1"), kept("5-3")] });
  await world.pass(1_000);
  assert.equal(world.last.url.searchParams.get("after"), "5-4");
  await world.answer({ cursor: "5-5", events: [kept("5-3"), kept("5-5")] });
  assert.deepEqual(world.events, ['"5-1"', '"5-3"', '"5-5"']);
  assert.equal(world.stream.lastEventId, "5-5");
});

test("a gap is told before what can be had, and behind a welcome that says so", async () => {
  const world = await polling();
  world.events.length = 0;
  await world.pass(1_000);
  const gap = { reason: "evicted", requested: "5-0", oldest: "5-9", missed: 8 };
  await world.answer({ cursor: "5-9", events: [kept("5-9")], gap });
  const [welcome, told, event] = world.events;
  assert.deepEqual([JSON.parse(welcome).missed, JSON.parse(told), event], [8, gap, '"5-9"']);
});

test("where all topics that were asked for have ended, it says so and stops", async () => {
  const world = await polling("http://hub/events?topic=job/1");
  await world.pass(1_000);
  await world.answer({ cursor: "5-1", events: [kept("5-1")], ended: true, more: true });
  assert.equal(world.stream.state.phase, "live");
  await world.pass(1_000);
  await world.answer({ cursor: "5-2", events: [kept("5-2")], ended: true, more: false });
  assert.deepEqual(world.events.slice(-3), ['"5-1"', '"5-2"', '{"topic":"job/1","id":"5-2"}']);
  assert.deepEqual([world.stream.state.phase, world.stream.state.cause.code], ["stopped", "dismissed"]);
});

test("polls that find nothing and are answered at once don't become a flood", async () => {
  const world = await polling();
  const before = world.requests.length;
  for (let n = 0; n < 3; n += 1) {
    await world.pass(1_000);
    await world.answer({ cursor: "5-0" });
  }
  assert.equal(world.requests.length, before + 3);
});

test("a hub that goes away while it polls is waited for, and polled again", async () => {
  const world = await polling();
  await world.pass(1_000);
  await world.act("fail");
  assert.deepEqual([world.stream.state.phase, world.stream.state.transport], ["waiting", "poll"]);
  await world.pass(2_000);
  await world.answer({ cursor: "5-0" });
  assert.deepEqual([world.stream.state.phase, world.stream.state.transport], ["live", "poll"]);
});

test("a poll that isn't answered in time is a hub that is slow", async () => {
  const world = await polling();
  await world.pass(46_000);
  assert.deepEqual([world.stream.state.phase, world.stream.state.cause.code], ["waiting", "slow"]);
});

test("now and then it looks whether streams get through, and goes back to them without loss", async () => {
  const world = await polling();
  for (let n = 0; n < 70 && world.last.url.pathname !== "/events"; n += 1) {
    await world.pass(1_000);
    if (world.last.url.pathname !== "/events") await world.answer({ cursor: "5-0" });
  }
  const look = world.requests.findLast(({ url }) => url.pathname === "/events");
  assert.equal(world.stream.state.transport, "poll");
  look.accept();
  await world.settle();
  look.send('event: connection\ndata: {"heartbeat": 10}\nid: 5-0\n\n');
  await world.pass(900);
  assert.equal(world.stream.state.transport, "poll");
  await world.pass(2_000);
  look.send(eventOf("5-1"));
  await world.settle();
  assert.equal(world.stream.state.transport, "stream");
  assert.equal(world.last.url.pathname, "/events");
  assert.equal(world.last.headers["Last-Event-ID"], "5-0");
  assert.equal(world.events.includes("5-1"), false); // it comes by the new stream
});

test("streams that are still held back are looked at less and less often", async () => {
  const world = await polling();
  const looks = () => world.requests.filter(({ url }) => url.pathname === "/events").length - 1;
  const at = [];
  for (let second = 0; second < 300; second += 1) {
    await world.pass(1_000);
    for (const { url, refuse } of world.requests) {
      const body = JSON.stringify({ events: [], gap: null, cursor: "5-0" });
      if (url.pathname === "/api/history") refuse(200, { "Content-Type": "application/json" }, body);
    }
    await world.settle();
    if (looks() > at.length) at.push(second);
  }
  assert.equal(at.length, 2);
  assert.ok(at[1] - at[0] > 120, String(at));
});

test("a look that a lost connection cut short is made again later", async () => {
  const world = await polling();
  const looks = () => world.requests.filter(({ url }) => url.pathname === "/events").length - 1;
  const pollFor = async (seconds) => {
    for (let second = 0; second < seconds; second += 1) {
      await world.pass(1_000);
      const poll = world.requests.findLast(({ url }) => url.pathname === "/api/history");
      poll.refuse(200, { "Content-Type": "application/json" }, JSON.stringify({ events: [], gap: null, cursor: "5-0" }));
      await world.settle();
    }
  };
  await pollFor(62);
  assert.equal(looks(), 1);
  await world.pass(1_000);
  world.requests.findLast(({ url }) => url.pathname === "/api/history").fail();
  await world.settle();
  assert.equal(world.stream.state.phase, "waiting");
  await world.pass(2_000);
  await pollFor(130);
  assert.equal(looks(), 2);
});

test("a refusal of a poll is told as that of a stream", async () => {
  const world = await polling();
  await world.pass(1_000);
  await world.act("refuse", 403, {}, '{"error": "not for you"}');
  assert.deepEqual(world.stream.state.cause, { code: "http", status: 403, detail: "not for you" });
});

test("a server that isn't a hub, and is quiet, keeps its stream", async () => {
  const world = new World();
  world.stream.connect();
  await world.act("accept");
  assert.deepEqual([world.stream.state.phase, world.stream.state.open], ["connecting", true]);
  const [stream] = world.requests;
  await world.pass(20_000);
  await world.act("refuse", 404, {}, "not found");
  assert.deepEqual([world.stream.state.phase, world.stream.state.transport], ["live", "stream"]);
  await world.pass(3_600_000);
  stream.send("id: 17\ndata: a\n\nid: 17\ndata: b\n\n");
  await world.settle();
  assert.deepEqual(world.events, ["a", "b"]); // the same ID twice is no repetition here
  assert.equal(world.requests.length, 2);
});

test("a server that isn't a hub is live with its first event, and resumed by its own IDs", async () => {
  const world = new World();
  world.stream.connect();
  await world.act("accept");
  await world.act("send", "id: a/1\ndata: x\n\n");
  assert.equal(world.stream.state.phase, "live");
  await world.act("cut");
  await world.pass(1_000);
  assert.equal(world.last.headers["Last-Event-ID"], "a/1");
});

const ASKED = "https://hub.example/live/events?topic=a&topic=b/*&type=x&ticket=t&presence=1";

for (const [more, after, wait, expected] of [
  ["", "", 0, "limit=1"],
  ["&last=50", "", 0, "limit=50"],
  ["&last=5000", "", 0, "limit=1000"],
  ["&last_per_topic=2", "", 0, "last_per_topic=2&limit=1000"],
  ["&last_event_id=earliest", "", 0, "after=earliest&limit=1000"],
  ["&last=50&last_event_id=5-1", "5-2", 25, "after=5-2&wait=25&limit=1000"],
]) {
  test(`polls of a stream with "${more}" ask for ${expected}`, () => {
    const base = "https://hub.example/live/api/history?topic=a&topic=b%2F*&type=x&ticket=t&";
    assert.equal(pollUrl(ASKED + more, after, wait), base + expected);
  });
}
