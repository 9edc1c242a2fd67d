import assert from "node:assert/strict";
import { test } from "node:test";
import { Deque } from "../../../frontend/js/feed/deque.js";
import { Feed } from "../../../frontend/js/feed/feed.js";
import { toneOf } from "../../../frontend/js/feed/tones.js";

const NOW = Date.parse("2026-11-24T08:00:00Z");

function eventOf(type, data, id = "1-1") {
  const text = typeof data === "string" ? data : JSON.stringify(data);
  return { type, data: text, id, ownId: true, at: NOW, client: 7 };
}

test("a deque numbers what it holds, and forgets the oldest on demand", () => {
  const deque = new Deque();
  for (let n = 0; n < 5_000; n += 1) deque.append(n);
  for (let n = 0; n < 4_000; n += 1) assert.equal(deque.shift(), n);
  assert.deepEqual([deque.first, deque.end, deque.size], [4_000, 5_000, 1_000]);
  assert.deepEqual([deque.at(4_000), deque.at(4_999), deque.toArray().length], [4_000, 4_999, 1_000]);
  assert.ok(deque.slots.length < 5_000, "what was let go is freed");
});

test("what is put before the oldest gets lower numbers", () => {
  const deque = new Deque([5, 6]);
  deque.shift();
  deque.prepend([3, 4]);
  deque.append(7);
  assert.deepEqual([deque.first, deque.end, deque.toArray()], [-1, 3, [3, 4, 6, 7]]);
  assert.deepEqual([deque.at(-1), deque.at(2), deque.shift(), deque.size], [3, 7, 3, 3]);
});

test("the welcome sets both numbers and opens the feed, and is not counted as an event", () => {
  const feed = new Feed();
  const welcome = { id: 7, clients: 3, resumed: true, replayed: 2, missed: 0 };
  const entry = feed.take(eventOf("connection", welcome));
  assert.deepEqual(entry, {
    kind: "welcome",
    key: 0,
    type: "connection",
    time: NOW,
    client: 7,
    clients: 3,
    resumed: true,
    replayed: 2,
    whole: true,
    id: "1-1",
    opening: false,
    raw: JSON.stringify(welcome),
  });
  assert.deepEqual([feed.client, feed.clients, feed.taken], [7, 3, 0]);
});

test("a welcome that announces a gap does not claim to be whole", () => {
  const feed = new Feed();
  for (const missed of [3, null]) {
    const welcome = { id: 7, clients: 3, resumed: true, replayed: 0, missed };
    assert.equal(feed.take(eventOf("connection", welcome)).whole, false);
  }
});

test("an event carries the number of the client that got it", () => {
  const feed = new Feed();
  const payload = {
    message: "hot",
    data: {},
    timestamp: "2026-11-24T07:59:00.500Z",
    source: "simulation",
    count: 0,
    topic: "default",
  };
  assert.deepEqual(feed.take(eventOf("system_alert", payload)), {
    kind: "event",
    key: 0,
    id: "1-1",
    type: "system_alert",
    message: "hot",
    time: NOW - 59_500,
    at: NOW,
    live: true,
    level: "",
    severity: "",
    source: "simulation",
    count: 0,
    topic: "default",
    client: 7,
    raw: JSON.stringify(payload),
    haystack: "",
  });
  assert.equal(feed.taken, 1);
});

test("presence changes a number and adds nothing", () => {
  const feed = new Feed();
  assert.equal(feed.take(eventOf("presence", { clients: 12 })), null);
  assert.equal(feed.take(eventOf("presence", "nonsense")), null);
  assert.deepEqual([feed.clients, feed.entries.size], [12, 0]);
});

test("a gap says how many are missing, or that nobody knows, and after what", () => {
  const feed = new Feed();
  assert.equal(feed.take(eventOf("gap", { reason: "evicted", missed: 3 })).missed, 3);
  feed.take(eventOf("x", { timestamp: "2026-11-24T07:00:00Z" }));
  const gap = feed.take(eventOf("gap", { reason: "restart", missed: null }));
  assert.deepEqual([gap.missed, gap.after], [null, NOW - 3_600_000]);
  assert.equal(feed.taken, 1);
});

test("what the browser let go before this tab took it is a gap of its own", () => {
  const gap = new Feed().takeLoss(12, NOW);
  assert.deepEqual([gap.kind, gap.reason, gap.missed], ["gap", "tab", 12]);
});

test("an event that is not as the hub writes it is shown as well as can be", () => {
  const feed = new Feed();
  const messages = ["plain text", "[1]", { message: 5 }, { message: { a: null } }, { message: null }];
  const shown = messages.map((data) => feed.take(eventOf("x", data)).message);
  assert.deepEqual(shown, ["plain text", "[1]", "5", '{"a":null}', ""]);
});

test("how serious an event is, its data says in the usual words", () => {
  const levelOf = (data) => {
    const { level, severity } = new Feed().take(eventOf("x", { message: "m", data }));
    return [level, severity];
  };
  assert.deepEqual(levelOf({ severity: "CRITICAL" }), ["error", "CRITICAL"]);
  assert.deepEqual(levelOf({ level: "warn" }), ["warning", "warn"]);
  for (const data of [{ severity: "info" }, { level: 3 }, { level: ["error"] }, {}, null, "error", undefined]) {
    assert.deepEqual(levelOf(data), ["", ""]);
  }
});

test("strange fields fall back to what is true", () => {
  const entry = new Feed().take(eventOf("x", { timestamp: "yesterday", count: "9", source: 4 }));
  assert.deepEqual([entry.time, entry.count, entry.source], [NOW, null, "4"]);
});

test("the feed is bounded by count, and says how many it let go", () => {
  const feed = new Feed(500);
  for (let n = 0; n < 1_200; n += 1) feed.take(eventOf("x", { message: String(n) }));
  assert.deepEqual([feed.entries.size, feed.taken, feed.letGo], [500, 1_200, 700]);
  assert.equal(feed.entries.at(feed.oldestKey).message, "700");
});

test("the feed is bounded by size, but always keeps the newest", () => {
  const feed = new Feed(500, 1_000);
  for (let n = 0; n < 20; n += 1) feed.take(eventOf("x", { message: "m".repeat(300) }));
  assert.equal(feed.entries.size, 3);
  feed.take(eventOf("x", { message: "m".repeat(5_000) }));
  assert.deepEqual([feed.entries.size, feed.letGo], [1, 20]);
});

test("any number of names is offered as a few choices", () => {
  const feed = new Feed();
  for (let n = 0; n < 1_000; n += 1) feed.take(eventOf(`type${n}`, { source: `s${n}`, topic: `t${n}` }));
  assert.deepEqual([feed.seen.type.size, feed.seen.source.size, feed.seen.topic.size], [20, 10, 20]);
});

test("each of the five types has a colour of its own, any other type one that it keeps", () => {
  const five = ["user_joined", "message_received", "system_alert", "data_updated", "notification"];
  assert.equal(new Set(five.map(toneOf)).size, 5);
  assert.equal(toneOf("deploy.done"), toneOf("deploy.done"));
  for (const type of ["constructor", "toString", "__proto__"]) assert.match(toneOf(type), /^[a-z]+$/);
});
