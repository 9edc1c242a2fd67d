import assert from "node:assert/strict";
import { test } from "node:test";
import { Store, isPublished } from "../../../client/js/src/store.js";
import { Tab } from "../../../client/js/src/tab.js";

const NOTHING = { welcome: null, welcomeAt: 0, presence: null };

/** A published event of epoch 5. */
function eventOf(seq, data = `event ${seq}`) {
  return { type: "note", data, id: `5-${seq}`, ownId: true, at: seq, client: 1, replayed: false };
}

function welcomeOf(seq, epoch = 5) {
  return { ...eventOf(0), type: "connection", id: `${epoch}-${seq}`, data: "{}" };
}

function storeOf(count, ...limits) {
  const store = new Store("5-0", ...limits);
  for (let seq = 1; seq <= count; seq += 1) store.append(eventOf(seq));
  return store;
}

const seqsOf = (delivery) => delivery.events.map(({ id }) => Number(id.split("-")[1]));

/** A tab that has found its place. */
function tabOf(store, attach, latest = NOTHING) {
  const tab = new Tab(store);
  tab.place({ fresh: false, last: "", ...attach }, latest);
  return tab;
}

/** All that a tab is sent until it has caught up. */
function drain(tab, latest = NOTHING) {
  const all = [];
  for (let next = tab.next(latest); next; next = tab.next(latest)) {
    all.push(next);
    tab.taking = false;
  }
  return all;
}

test("a store keeps the newest by count, and counts what it let go", () => {
  const store = storeOf(5, 3);
  assert.deepEqual(store.read(store.first, 10, 1e6).map(({ id }) => id), ["5-3", "5-4", "5-5"]);
  assert.deepEqual([store.received, store.dropped, store.floor], [5, 2, "5-2"]);
});

test("a store keeps the newest by memory", () => {
  const store = new Store("5-0", 100, 10_000);
  for (let seq = 1; seq <= 9; seq += 1) store.append(eventOf(seq, "x".repeat(1_000)));
  assert.equal(store.end - store.first, 4);
  assert.ok(store.bytes <= 10_000);
});

test("an event larger than the store is kept alone", () => {
  const store = new Store("5-0", 100, 1_000);
  for (const seq of [1, 2, 3]) store.append(eventOf(seq, "x".repeat(9_000)));
  assert.equal(store.end - store.first, 1);
});

test("a store that began at the head learns from the welcome where that was", () => {
  const store = new Store("");
  store.append(welcomeOf(7));
  assert.equal(store.floor, "5-7");
});

test("the hub's own events are no published ones", () => {
  assert.deepEqual([isPublished(welcomeOf(1)), isPublished(eventOf(1))], [false, true]);
  assert.equal(isPublished({ ...eventOf(1), type: "gap", ownId: false }), false);
});

test("a new tab gets all that is kept as history, then news", () => {
  const store = storeOf(3);
  const tab = tabOf(store, { fresh: true });
  const first = tab.next(NOTHING);
  assert.deepEqual([seqsOf(first), first.kept, first.dropped], [[1, 2, 3], 3, 0]);
  tab.taking = false;
  store.append(eventOf(4));
  const second = tab.next(NOTHING);
  assert.deepEqual([seqsOf(second), second.kept], [[4], 0]);
});

test("a reloaded tab gets what it showed as history and what it missed as news, in one batch", () => {
  const delivery = tabOf(storeOf(5), { fresh: true, last: "5-3" }).next(NOTHING);
  assert.deepEqual([seqsOf(delivery), delivery.kept], [[1, 2, 3, 4, 5], 3]);
});

test("a tab that comes back gets only what it lacks", () => {
  const delivery = tabOf(storeOf(5), { last: "5-3" }).next(NOTHING);
  assert.deepEqual([seqsOf(delivery), delivery.kept, delivery.dropped], [[4, 5], 0, 0]);
});

test("a tab that is ahead of the store waits", () => {
  const store = storeOf(2);
  const tab = tabOf(store, { last: "5-9" });
  assert.equal(tab.next(NOTHING), null);
});

test("a tab is sent nothing until it has taken the last batch, and then all at once", () => {
  const store = storeOf(1);
  const tab = tabOf(store, { fresh: true });
  tab.next(NOTHING);
  store.append(eventOf(2));
  store.append(eventOf(3));
  assert.equal(tab.next(NOTHING), null);
  tab.taking = false;
  assert.deepEqual(seqsOf(tab.next(NOTHING)), [2, 3]);
});

test("batches are bounded by count and by memory", () => {
  assert.deepEqual(drain(tabOf(storeOf(5_000), { fresh: true })).map(({ events }) => events.length), [
    2_000, 2_000, 1_000,
  ]);
  const store = new Store("5-0");
  for (let seq = 1; seq <= 30; seq += 1) store.append(eventOf(seq, "x".repeat(60_000)));
  assert.deepEqual(drain(tabOf(store, { fresh: true })).map(({ events }) => events.length), [8, 8, 8, 6]);
});

test("a tab that was left behind is told how many events it lacks", () => {
  const store = storeOf(3, 3);
  const tab = tabOf(store, { fresh: true });
  tab.next(NOTHING);
  for (let seq = 4; seq <= 10; seq += 1) store.append(eventOf(seq));
  tab.taking = false;
  const delivery = tab.next(NOTHING);
  assert.deepEqual([seqsOf(delivery), delivery.dropped], [[8, 9, 10], 4]);
  tab.taking = false;
  store.append(eventOf(11));
  assert.deepEqual(tab.next(NOTHING).dropped, 0);
});

test("a tab that comes back to a store that has moved on is told how many events it lacks", () => {
  const delivery = tabOf(storeOf(10, 3), { last: "5-4" }).next(NOTHING);
  assert.deepEqual([seqsOf(delivery), delivery.dropped], [[8, 9, 10], 3]);
});

test("a new tab lacks nothing, whatever was dropped before it came", () => {
  assert.equal(tabOf(storeOf(10, 3), { fresh: true }).next(NOTHING).dropped, 0);
});

test("a place in a log finds the newest event up to it, also after a restart of the hub", () => {
  const store = storeOf(3);
  store.append(welcomeOf(0, 6));
  store.append({ ...eventOf(1), id: "6-1" });
  assert.equal(store.positionAfter("5-2"), 2);
  assert.equal(store.positionAfter("6-1"), 5);
  assert.equal(store.positionAfter("7-1"), null);
  assert.equal(store.positionAfter("5-0"), 0);
});

test("a store knows whether an ID lies before all it ever had", () => {
  const store = new Store("5-10");
  store.append(eventOf(11));
  const before = ["5-9", "4-99", "5-10", "5-12", "6-1", "", "other"].map((id) => store.beginsAfter(id));
  assert.deepEqual(before, [true, true, false, false, false, false, false]);
  assert.equal(storeOf(10, 3).beginsAfter("5-0"), false);
});

test("the newest presence is told once, and again to a tab that comes later", () => {
  const store = storeOf(1);
  const latest = { ...NOTHING, presence: { ...eventOf(0), type: "presence", ownId: false } };
  const tab = tabOf(store, { fresh: true }, latest);
  const [only] = drain(tab, latest);
  assert.deepEqual([only.events.map(({ type }) => type), only.kept], [["note", "presence"], 2]);
  assert.equal(drain(tabOf(store, { fresh: true }, latest), latest)[0].events.length, 2);
});

test("a tab that comes when the welcome is no longer kept is told it all the same", () => {
  const store = new Store("5-0", 2);
  const welcome = welcomeOf(0);
  store.append(welcome);
  const latest = { ...NOTHING, welcome, welcomeAt: 0 };
  for (const seq of [1, 2, 3]) store.append(eventOf(seq));
  const delivery = tabOf(store, { fresh: true }, latest).next(latest);
  assert.deepEqual([delivery.events.map(({ type }) => type), delivery.kept], [["connection", "note", "note"], 3]);
});
