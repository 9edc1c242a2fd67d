import assert from "node:assert/strict";
import { test } from "node:test";
import { Arrivals } from "../../../frontend/js/feed/arrivals.js";
import { Feed } from "../../../frontend/js/feed/feed.js";
import { readFacts } from "../../../frontend/js/feed/hub-facts.js";
import { Latency } from "../../../frontend/js/feed/latency.js";
import { Pace } from "../../../frontend/js/feed/pace.js";
import { Reading } from "../../../frontend/js/feed/reading.js";

const START = 1_000_000_000_000;

test("the pace is the mean of the last five whole seconds", () => {
  const pace = new Pace(START);
  assert.equal(pace.perSecond(START + 500), null);
  for (let second = 0; second < 5; second += 1) pace.add(10, START + second * 1_000);
  pace.add(1_000, START + 5_000); // the present second is not over
  assert.equal(pace.perSecond(START + 5_900), 10);
  assert.equal(pace.perSecond(START + 6_000), (4 * 10 + 1_000) / 5);
});

test("the last minute has sixty seconds, the newest last, and forgets", () => {
  const pace = new Pace(START);
  pace.add(7, START);
  const minute = pace.lastMinute(START + 1_000);
  assert.deepEqual([minute.length, minute.at(-1), minute.at(0)], [60, 7, 0]);
  assert.equal(pace.lastMinute(START + 60_000)[0], 7);
  assert.equal(Math.max(...pace.lastMinute(START + 61_000)), 0);
  assert.equal(Math.max(...pace.lastMinute(START + 3_600_000)), 0);
});

test("a clock that is set back makes no nonsense", () => {
  const pace = new Pace(START);
  pace.add(5, START + 10_000);
  pace.add(5, START);
  assert.equal(pace.lastMinute(START + 11_000).at(-1), 10);
});

test("latency is unknown until the clocks are compared", () => {
  const latency = new Latency();
  latency.add(1_000, 1_020);
  assert.equal(latency.read(), null);
});

test("latency allows for a hub whose clock is ahead", () => {
  const latency = new Latency();
  // The hub's clock is 5,000 ms ahead; the question takes 10 ms each way; deliveries take 20 ms.
  latency.compare(6_010, 1_000, 1_020);
  for (const accepted of [6_000, 7_000, 8_000]) latency.add(accepted, accepted - 5_000 + 20);
  assert.deepEqual(latency.read(), { ms: 20, error: 11 });
});

test("an exact comparison is not given up for a worse one, until it is old", () => {
  const latency = new Latency();
  latency.compare(1_000, 999, 1_001);
  latency.compare(2_500, 2_000, 2_200);
  assert.equal(latency.clock.error, 2);
  latency.compare(900_000, 899_000, 899_100);
  assert.equal(latency.clock.error, 51);
});

test("the median is not moved by one late event", () => {
  const latency = new Latency();
  latency.compare(0, 0, 0);
  for (let n = 0; n < 10; n += 1) latency.add(n, n + 5);
  latency.add(100, 9_000);
  assert.equal(latency.read().ms, 5);
});

test("the hub's facts are what it tells, and nothing else", () => {
  const history = { events: 3, limitEvents: 10 };
  const told = { time: "2026-11-24T08:00:00Z", oldestTime: 5, history, journal: "sqlite", simulate: 8, version: "1.0", uptime: 60 };
  const { startedAt, ...facts } = readFacts(told);
  assert.deepEqual(facts, {
    time: Date.parse(told.time),
    version: "1.0",
    journal: "sqlite",
    simulate: 8,
    node: "",
    history: { events: 3, limit: 10, since: 5_000 },
  });
  assert.equal(startedAt, Date.parse(told.time) - 60_000);
  assert.deepEqual([readFacts({ history: null }).history, readFacts({ simulate: "x" }).simulate], [null, 0]);
});

function arrivals() {
  const feed = new Feed();
  const parts = { feed, reading: new Reading(feed), pace: new Pace(START), latency: new Latency() };
  return { ...parts, arrivals: new Arrivals(parts) };
}

function batch(types, history = 0, { replayed = 0, welcome = {} } = {}) {
  const events = types.map((type, n) => {
    const data = JSON.stringify({ message: "m", missed: 0, timestamp: new Date(START).toISOString(), ...welcome });
    const old = type !== "connection" && n <= replayed;
    return { type, data, id: `1-${n}`, ownId: true, at: START + 30, client: 1, replayed: old };
  });
  return { events, history, dropped: 0, totals: { received: 0, kept: 0, keptBytes: 0, dropped: 0 } };
}

function kinds(reading) {
  return Array.from({ length: reading.size }, (_, rank) => reading.at(rank).kind);
}

test("history is shown, but is no news and says nothing about pace or latency", () => {
  const { arrivals: taker, feed, reading, pace, latency } = arrivals();
  assert.deepEqual(taker.take(batch(["a", "a", "a"], 3), START), []);
  assert.deepEqual([feed.received, feed.taken, reading.size, latency.taken], [0, 3, 3, 0]);
  assert.equal(pace.lastMinute(START + 1_000).at(-1), 0);
});

test("what a page opens with is no news, and where it ends is said", () => {
  const { arrivals: taker, feed, reading, latency, pace } = arrivals();
  const opening = batch(["connection", "a", "a", "a"], 0, { replayed: 2, welcome: { replayed: 2, resumed: false } });
  const news = taker.take(opening, START);
  assert.deepEqual([news.length, feed.received, latency.taken], [1, 1, 1]);
  assert.deepEqual(kinds(reading), ["event", "welcome", "event", "event"]);
  assert.equal(reading.at(1).opening, true);
  assert.equal(pace.lastMinute(START + 1_000).at(-1), 1);
});

test("a page that opens with nothing says at once that it is live", () => {
  const { arrivals: taker, reading } = arrivals();
  taker.take(batch(["connection"], 0, { welcome: { replayed: 0 } }), START);
  assert.deepEqual(kinds(reading), ["welcome"]);
});

test("what is shown again after a reload ends where news begins, or after a moment", () => {
  const { arrivals: taker, reading } = arrivals();
  taker.take(batch(["connection", "a", "a"], 3, { replayed: 2, welcome: { resumed: true, replayed: 2 } }), START);
  assert.deepEqual([kinds(reading), taker.settle(START + 100)], [["event", "event"], false]);
  assert.deepEqual([taker.settle(START + 1_000), kinds(reading)], [true, ["welcome", "event", "event"]]);
});

test("a replay is news, but late for a reason: it says nothing about latency", () => {
  const { arrivals: taker, feed, latency, pace } = arrivals();
  taker.take(batch(["connection"]), START);
  const again = batch(["connection", "a", "a", "a"], 0, { replayed: 2, welcome: { resumed: true, replayed: 2 } });
  const news = taker.take(again, START);
  assert.deepEqual([news.length, feed.received, latency.taken], [4, 3, 1]);
  assert.equal(pace.lastMinute(START + 1_000).at(-1), 3);
});

test("what this tab was too late for leaves a gap before the rest", () => {
  const { arrivals: taker, reading } = arrivals();
  taker.take({ ...batch(["a"]), dropped: 12 }, START);
  assert.deepEqual([reading.at(1).kind, reading.at(1).missed, reading.at(0).kind], ["gap", 12, "event"]);
});
