import assert from "node:assert/strict";
import { test } from "node:test";
import { Bookmark } from "../../../client/js/src/bookmark.js";

const NEW = { first: "", last: "" };

function published(...ids) {
  return ids.map((id) => ({ type: "note", data: "{}", id, ownId: true, at: 0, client: 1, replayed: false }));
}

function welcome(id, missed = 0) {
  return { ...published(id)[0], type: "connection", data: JSON.stringify({ missed }) };
}

function gap(id, reason = "evicted") {
  return { ...published(id)[0], type: "gap", ownId: false, data: JSON.stringify({ reason }) };
}

const presence = { ...published("5-0")[0], type: "presence", ownId: false };

/** What a batch comes to: the types or IDs that are passed on, and how many of them are history. */
function take(bookmark, events, kept = 0) {
  const taken = bookmark.take(events, kept);
  return [taken.events.map(({ type, id }) => (type === "note" ? id : type)), taken.history];
}

test("a new page takes everything as news", () => {
  const bookmark = new Bookmark(NEW);
  assert.deepEqual(take(bookmark, [welcome("5-0"), ...published("5-1", "5-2"), presence]), [
    ["connection", "5-1", "5-2", "presence"],
    0,
  ]);
  assert.equal(bookmark.place.last, "5-2");
});

test("what was kept before the tab came is history", () => {
  assert.deepEqual(take(new Bookmark(NEW), [welcome("5-0"), ...published("5-1", "5-2")], 2)[1], 2);
});

test("an event that comes again is let go, wherever the stream was taken up", () => {
  const bookmark = new Bookmark(NEW);
  take(bookmark, [welcome("5-0"), ...published("5-1", "5-2")]);
  assert.deepEqual(take(bookmark, [welcome("5-1"), ...published("5-2", "5-3")]), [["connection", "5-3"], 0]);
});

test("after a reload, what was shown is history and the rest is news, across batches", () => {
  const bookmark = new Bookmark({ first: "5-0", last: "5-2" });
  assert.deepEqual(take(bookmark, [welcome("5-0"), ...published("5-1")]), [["connection", "5-1"], 2]);
  assert.deepEqual(take(bookmark, [presence, ...published("5-2", "5-3")]), [["presence", "5-2", "5-3"], 2]);
  assert.deepEqual(take(bookmark, [presence]), [["presence"], 0]);
});

test("a second welcome is news even when nothing was published", () => {
  const bookmark = new Bookmark({ first: "5-0", last: "5-2" });
  take(bookmark, [welcome("5-0"), ...published("5-1", "5-2")]);
  assert.deepEqual(take(bookmark, [welcome("5-2")]), [["connection"], 0]);
});

test("a gap in what was shown before the reload is history, one beyond it is news", () => {
  const shown = new Bookmark({ first: "5-0", last: "5-9" });
  assert.equal(take(shown, [welcome("5-7", 7), gap("5-7"), ...published("5-8", "5-9")])[1], 4);
  const missed = new Bookmark({ first: "5-0", last: "5-9" });
  assert.equal(take(missed, [welcome("5-20", 20), gap("5-20"), ...published("5-21")])[1], 0);
});

test("a gap that tells of what the page has is let go: it was another tab's", () => {
  const bookmark = new Bookmark(NEW);
  take(bookmark, [welcome("5-0"), ...published("5-1", "5-9")]);
  assert.deepEqual(take(bookmark, [welcome("5-7", 3), gap("5-7"), ...published("5-8", "5-9", "5-10")]), [
    ["connection", "5-10"],
    0,
  ]);
});

test("a gap of a restart is passed on, and the new log is taken from its first event", () => {
  const bookmark = new Bookmark(NEW);
  take(bookmark, [welcome("5-0"), ...published("5-9")]);
  assert.deepEqual(take(bookmark, [welcome("6-0", null), gap("6-0", "restart"), ...published("6-1")]), [
    ["connection", "gap", "6-1"],
    0,
  ]);
});

test("a log that never gave our ID is read anew", () => {
  const bookmark = new Bookmark(NEW);
  take(bookmark, [welcome("5-0"), ...published("5-9")]);
  assert.deepEqual(take(bookmark, [welcome("5-0", null), gap("5-0", "unknown"), ...published("5-1")]), [
    ["connection", "gap", "5-1"],
    0,
  ]);
});

test("until an announced gap has come, the place stays before it", () => {
  const bookmark = new Bookmark(NEW);
  take(bookmark, [welcome("5-0"), ...published("5-1"), welcome("5-50", 49)]);
  assert.equal(bookmark.place.last, "5-1");
  take(bookmark, [gap("5-50")]);
  assert.equal(bookmark.place.last, "5-50");
});
