import assert from "node:assert/strict";
import { test } from "node:test";
import { Feed } from "../../../frontend/js/feed/feed.js";
import { EVERYTHING } from "../../../frontend/js/feed/filter.js";
import { Past } from "../../../frontend/js/feed/past.js";
import { Reading } from "../../../frontend/js/feed/reading.js";

/** A feed and a view of it that take events of these types, numbered on. */
function pair(capacity = 100) {
  const feed = new Feed(capacity);
  const reading = new Reading(feed);
  let sent = 0;
  const take = (...types) => {
    for (const type of types) {
      sent += 1;
      reading.take(feed.take({ type, data: `{"message":"${sent}"}`, id: `1-${sent}`, ownId: true, at: sent, client: 1 }));
    }
  };
  return { feed, reading, take };
}

function onView(reading) {
  return Array.from({ length: reading.size }, (_, rank) => reading.at(rank).message ?? reading.at(rank).type);
}

test("the newest comes first", () => {
  const { reading, take } = pair();
  take("a", "a", "b");
  assert.deepEqual(onView(reading), ["3", "2", "1"]);
  assert.equal(reading.events, 3);
});

test("what the feed lets go is no longer on view", () => {
  const { reading, take } = pair(3);
  take("a", "a", "a", "a", "a");
  assert.deepEqual([onView(reading), reading.events], [["5", "4", "3"], 3]);
});

test("what the feed lets go is no longer on view, even if only others came", () => {
  const { reading, take } = pair(3);
  reading.setFilter({ ...EVERYTHING, type: "a" });
  take("a", "b", "b", "b");
  assert.deepEqual([onView(reading), reading.events], [[], 0]);
});

test("a filter holds for what is kept and for what comes; gaps stay", () => {
  const { reading, take } = pair();
  take("a", "connection", "gap", "b");
  reading.setFilter({ ...EVERYTHING, type: "a" });
  take("a", "b", "gap");
  assert.deepEqual(onView(reading), ["gap", "5", "gap", "1"]);
  assert.equal(reading.events, 2);
});

test("a held view stands still, even when the feed lets its entries go, and counts what comes", () => {
  const { reading, take } = pair(3);
  take("a", "a", "a");
  const before = onView(reading);
  reading.hold(1_000);
  take("a", "b", "a", "gap", "a");
  assert.deepEqual(onView(reading), before);
  assert.deepEqual([reading.fresh, reading.freshGaps, reading.heldAt], [4, 1, 1_000]);
  reading.release();
  assert.deepEqual([onView(reading), reading.fresh, reading.freshGaps], [["8", "gap", "6"], 0, 0]);
});

test("holding a held view changes nothing", () => {
  const { reading, take } = pair();
  take("a");
  reading.hold(1);
  take("a");
  reading.hold(2);
  assert.deepEqual([reading.heldAt, reading.size, reading.fresh], [1, 1, 1]);
});

test("a filter set while held looks into what was held, and counts the fresh ones anew", () => {
  const { reading, take } = pair();
  take("a", "b");
  reading.hold(1);
  take("a", "b", "b");
  reading.setFilter({ ...EVERYTHING, type: "b" });
  assert.deepEqual([onView(reading), reading.fresh], [["2"], 2]);
  take("a", "b");
  assert.equal(reading.fresh, 3);
});

test("a list made anew is told apart from the one before", () => {
  const { reading, take } = pair();
  take("a");
  const { generation } = reading;
  reading.setFilter({ ...EVERYTHING, type: "a" });
  assert.notEqual(reading.generation, generation);
});

/** Pages of a history whose events are numbered up to `count`, 10 each. */
function pageBefore(before, count = 10) {
  const first = Math.max(1, before - count);
  const events = Array.from({ length: before - first }, (_, i) => ({
    id: `1-${first + i}`,
    type: first + i === 3 ? "b" : "a",
    data: { message: `${first + i}`, timestamp: "2026-11-24T08:00:00Z" },
  }));
  return { events, previous: first > 1 ? `1-${first}` : null };
}

function withPast(capacity, pastCapacity) {
  const feed = new Feed(capacity);
  const past = new Past(pastCapacity);
  const reading = new Reading(feed, past);
  let sent = 100;
  const take = (type = "a") => {
    sent += 1;
    reading.take(feed.take({ type, data: `{"message":"${sent}"}`, id: `1-${sent}`, ownId: true, at: sent, client: 1 }));
  };
  const load = (before, count) => {
    if (past.before === "") reading.joinPast();
    return reading.extend(past.take(pageBefore(before, count), 0));
  };
  return { feed, past, reading, take, load };
}

test("the past lies behind what is on view, as far as the filter lets it through", () => {
  const { past, reading, take, load } = withPast(100);
  take();
  load(7, 3);
  load(4);
  assert.deepEqual(onView(reading), ["101", "6", "5", "4", "3", "2", "1"]);
  assert.deepEqual([past.done, reading.events], [true, 7]);
  take();
  assert.equal(reading.at(0).message, "102");
  reading.setFilter({ ...EVERYTHING, type: "b" });
  assert.deepEqual([onView(reading), past.done], [[], false]);
  load(7);
  assert.deepEqual(onView(reading), ["3"]);
});

test("where the feed lets go what the past lies before, the past is forgotten: there is no hole", () => {
  const { past, reading, take, load } = withPast(3);
  for (let n = 0; n < 3; n += 1) take();
  load(7);
  assert.equal(reading.size, 9);
  take();
  assert.deepEqual([onView(reading), past.entries.length, past.before], [["104", "103", "102"], 0, ""]);
});

test("a held view keeps its past whatever the feed lets go, until it is released", () => {
  const { reading, take, load } = withPast(3);
  for (let n = 0; n < 3; n += 1) take();
  reading.hold(1);
  load(7, 2);
  for (let n = 0; n < 5; n += 1) take();
  load(5, 2);
  assert.deepEqual(onView(reading), ["103", "102", "101", "6", "5", "4", "3"]);
  reading.release();
  assert.deepEqual(onView(reading), ["108", "107", "106"]);
});

test("the past is bounded: its newest are let go, the place says so, and the rows move by as many", () => {
  const { past, reading, take, load } = withPast(100, 10);
  take();
  load(100, 10);
  assert.equal(load(90, 4), 1 - 4);
  assert.deepEqual(onView(reading).slice(0, 4), ["101", "cut", "95", "94"]);
  assert.equal(load(86, 4), -4);
  assert.deepEqual([past.entries.length, past.cut, reading.at(1).missed], [10, 8, 8]);
});

test("gaps are counted, and walked from one to the next", () => {
  const { reading, take } = pair();
  take("a", "gap", "a", "gap", "a");
  assert.equal(reading.gaps, 2);
  assert.deepEqual([-1, 1, 3].map((rank) => reading.gapAfter(rank)), [1, 3, 1]);
  reading.setFilter({ ...EVERYTHING, type: "b" });
  assert.deepEqual([reading.gaps, reading.gapAfter(-1)], [2, 0]);
});
