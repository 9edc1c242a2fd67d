import assert from "node:assert/strict";
import { test } from "node:test";
import { Arrivals } from "../../../frontend/js/feed/arrivals.js";
import { Feed } from "../../../frontend/js/feed/feed.js";
import { horizonOf, readStats } from "../../../frontend/js/feed/horizon.js";
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

const HUB = { time: "2026-11-24T08:00:00Z", oldestTime: Date.parse("2026-11-24T07:48:00Z") / 1_000 };
const LIMITS = { limitEvents: 10_000, limitBytes: 64 * 2 ** 20, limitAge: 0 };

function horizon(history, published = 0) {
  return horizonOf(readStats({ ...HUB, history: { ...LIMITS, ...history }, rates: { published } }));
}

test("a full history reaches as far back as its oldest event", () => {
  assert.deepEqual(horizon({ events: 10_000, bytes: 1e6 }), { kind: "measured", seconds: 720 });
  assert.equal(horizon({ events: 10, bytes: 64 * 2 ** 20 }).kind, "measured");
});

test("a history that is not full would last at the present rate", () => {
  assert.deepEqual(horizon({ events: 100, bytes: 1e4 }, 10), { kind: "expected", seconds: 1_000 });
  const large = horizon({ events: 100, bytes: 100 * 2 ** 16 }, 1); // 64 KiB each: 1,024 fit
  assert.deepEqual(large, { kind: "expected", seconds: 1_024 });
});

test("an age limit binds too, and without it a quiet hub keeps all", () => {
  assert.deepEqual(horizon({ events: 1, bytes: 9, limitAge: 60 }), { kind: "expected", seconds: 60 });
  assert.deepEqual(horizon({ events: 1, bytes: 9 }), { kind: "all" });
  assert.deepEqual(horizon({ events: 0, bytes: 0 }), { kind: "all" });
});

function arrivals() {
  const feed = new Feed();
  const parts = { feed, reading: new Reading(feed), pace: new Pace(START), latency: new Latency() };
  return { ...parts, arrivals: new Arrivals(parts) };
}

function batch(types, history = 0, dropped = 0) {
  const events = types.map((type, n) => {
    const data = JSON.stringify({ message: "m", replayed: 2, timestamp: new Date(START).toISOString() });
    return { type, data, id: `1-${n}`, ownId: true, at: START + 30, client: 1 };
  });
  return { events, history, dropped, totals: { received: 0, kept: 0, keptBytes: 0, dropped: 0 } };
}

test("history is shown, but is no news and says nothing about pace or latency", () => {
  const { arrivals: taker, feed, reading, pace, latency } = arrivals();
  assert.deepEqual(taker.take(batch(["a", "a", "a"], 3), START), []);
  assert.deepEqual([feed.received, reading.size, latency.taken], [3, 3, 0]);
  assert.equal(pace.lastMinute(START + 1_000).at(-1), 0);
});

test("a replay is news, but late for a reason: it says nothing about latency", () => {
  const { arrivals: taker, latency, pace } = arrivals();
  const news = taker.take(batch(["connection", "a", "a", "a"]), START);
  assert.equal(news.length, 4);
  assert.equal(latency.taken, 1);
  assert.equal(pace.lastMinute(START + 1_000).at(-1), 3);
});

test("what this tab was too late for leaves a gap before the rest", () => {
  const { arrivals: taker, reading } = arrivals();
  taker.take(batch(["a"], 0, 12), START);
  assert.deepEqual([reading.at(1).kind, reading.at(1).missed, reading.at(0).kind], ["gap", 12, "event"]);
});
