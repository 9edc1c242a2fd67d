import assert from "node:assert/strict";
import { test } from "node:test";
import { Feed } from "../../../frontend/js/feed.js";
import { Ring } from "../../../frontend/js/ring.js";
import { toneOf } from "../../../frontend/js/tones.js";

const NOW = Date.parse("2026-11-24T08:00:00Z");

function eventOf(type, data, id = "1-1") {
  return { type, data: typeof data === "string" ? data : JSON.stringify(data), id, ownId: true };
}

test("a ring keeps the newest and counts them all", () => {
  const ring = new Ring(3);
  for (const n of [1, 2, 3, 4, 5]) ring.append(n);
  assert.deepEqual(ring.newest(10), [5, 4, 3]);
  assert.deepEqual(ring.newest(2), [5, 4]);
  assert.deepEqual([ring.size, ring.written], [3, 5]);
});

test("an empty ring has nothing newest", () => {
  assert.deepEqual(new Ring(3).newest(5), []);
});

test("the welcome sets both numbers and opens the feed, and is not counted as an event", () => {
  const feed = new Feed();
  const welcome = { id: 7, clients: 3, resumed: true, replayed: 2, missed: 0 };
  const entry = feed.take(eventOf("connection", welcome), NOW);
  assert.deepEqual(entry, {
    kind: "welcome",
    key: 0,
    time: NOW,
    client: 7,
    resumed: true,
    replayed: 2,
    whole: true,
  });
  assert.deepEqual([feed.client, feed.clients, feed.received], [7, 3, 0]);
});

test("a welcome that announces a gap does not claim to be whole", () => {
  const feed = new Feed();
  for (const missed of [3, null]) {
    const welcome = { id: 7, clients: 3, resumed: true, replayed: 0, missed };
    assert.equal(feed.take(eventOf("connection", welcome), NOW).whole, false);
  }
});

test("an event carries the number of the client that got it", () => {
  const feed = new Feed();
  feed.take(eventOf("connection", { id: 7, clients: 1 }), NOW);
  const entry = feed.take(
    eventOf("system_alert", {
      message: "hot",
      data: {},
      timestamp: "2026-11-24T07:59:00.500Z",
      source: "simulation",
      count: 0,
      topic: "default",
    }),
    NOW,
  );
  assert.deepEqual(entry, {
    kind: "event",
    key: 1,
    type: "system_alert",
    message: "hot",
    time: NOW - 59_500,
    source: "simulation",
    count: 0,
    topic: "",
    client: 7,
  });
  assert.equal(feed.received, 1);
});

test("presence changes a number and adds nothing", () => {
  const feed = new Feed();
  assert.equal(feed.take(eventOf("presence", { clients: 12 }), NOW), null);
  assert.equal(feed.take(eventOf("presence", "nonsense"), NOW), null);
  assert.deepEqual([feed.clients, feed.entries.size], [12, 0]);
});

test("a gap says how many are missing, or that nobody knows", () => {
  const feed = new Feed();
  assert.equal(feed.take(eventOf("gap", { reason: "evicted", missed: 3 }), NOW).missed, 3);
  assert.equal(feed.take(eventOf("gap", { reason: "restart", missed: null }), NOW).missed, null);
  assert.equal(feed.received, 0);
});

test("an event that is not as the hub writes it is shown as well as can be", () => {
  const feed = new Feed();
  const messages = ["plain text", "[1]", { message: 5 }, { message: { a: null } }, { message: null }];
  const shown = messages.map((data) => feed.take(eventOf("x", data), NOW).message);
  assert.deepEqual(shown, ["plain text", "[1]", "5", '{"a":null}', ""]);
});

test("strange fields fall back to what is true", () => {
  const feed = new Feed();
  const entry = feed.take(eventOf("x", { timestamp: "yesterday", count: "9", source: 4 }), NOW);
  assert.deepEqual([entry.time, entry.count, entry.source], [NOW, null, "4"]);
});

test("the feed is bounded", () => {
  const feed = new Feed(500);
  for (let n = 0; n < 1_200; n += 1) feed.take(eventOf("x", { message: String(n) }), NOW);
  assert.deepEqual([feed.entries.size, feed.received], [500, 1_200]);
  assert.equal(feed.entries.newest(1)[0].message, "1199");
});

test("each of the five types has a colour of its own, any other type one that it keeps", () => {
  const five = ["user_joined", "message_received", "system_alert", "data_updated", "notification"];
  assert.equal(new Set(five.map(toneOf)).size, 5);
  assert.equal(toneOf("deploy.done"), toneOf("deploy.done"));
  for (const type of ["constructor", "toString", "__proto__"]) assert.match(toneOf(type), /^[a-z]+$/);
});
