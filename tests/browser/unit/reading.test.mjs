import assert from "node:assert/strict";
import { test } from "node:test";
import { Feed } from "../../../frontend/js/feed/feed.js";
import { EVERYTHING } from "../../../frontend/js/feed/filter.js";
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
