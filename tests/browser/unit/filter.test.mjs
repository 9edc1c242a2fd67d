import assert from "node:assert/strict";
import { test } from "node:test";
import { eventEntry, gapEntry, welcomeEntry } from "../../../frontend/js/feed/entry.js";
import { EVERYTHING, filterOf, isEverything, matcherOf, parametersOf, queryOf } from "../../../frontend/js/feed/filter.js";

function entryOf(payload, type = "system_alert", id = "1-1") {
  return eventEntry({ type, data: JSON.stringify(payload), id, ownId: true, at: 0, client: 1 }, 0);
}

function matches(filter, payload, type) {
  return matcherOf({ ...EVERYTHING, ...filter })(entryOf(payload, type));
}

test("no filter lets everything through, the welcome too", () => {
  const welcome = welcomeEntry({ type: "connection", data: "{}", id: "", ownId: true, at: 0, client: 1 }, 0);
  assert.equal(matcherOf(EVERYTHING)(welcome), true);
  assert.equal(matcherOf({ ...EVERYTHING, type: "x" })(welcome), false);
});

test("a gap passes every filter: what is missing may have matched", () => {
  const gap = gapEntry({ data: "{}", at: 0 }, 0, null);
  assert.equal(matcherOf({ text: "x", type: "x", source: "x", topic: "x" })(gap), true);
});

test("names match whole, or by their beginning", () => {
  assert.equal(matches({ type: "system_alert" }, {}), true);
  assert.equal(matches({ type: "system" }, {}), false);
  assert.equal(matches({ type: "system*" }, {}), true);
  assert.equal(matches({ topic: "ops/*" }, { topic: "ops/disks" }), true);
  assert.equal(matches({ topic: "ops/*" }, { topic: "shop" }), false);
  assert.equal(matches({ topic: "default" }, {}), true);
  assert.equal(matches({ source: "api" }, { source: "simulation" }), false);
});

test("words must all occur, in any order, field, case and accent", () => {
  const payload = { message: "Disque presque plein, Éric", topic: "ops/disks", data: { host: "srv-02" } };
  for (const text of ["plein disque", "eric", "ÉRIC", "srv-02", "ops/disks plein", "system_alert", "1-1"]) {
    assert.equal(matches({ text }, payload), true, text);
  }
  assert.equal(matches({ text: "plein vide" }, payload), false);
});

test("words in quotes stand together, and a hyphen excludes", () => {
  const payload = { message: "Disk almost full on srv-02" };
  for (const text of ['"almost full"', "disk -backup", '-"full almost" full', "srv-02", "-", '"DISK ALMOST" srv']) {
    assert.equal(matches({ text }, payload), true, text);
  }
  for (const text of ['"full almost"', "disk -full", '-"almost full"', "-disk"]) {
    assert.equal(matches({ text }, payload), false, text);
  }
});

test("one of several names is enough", () => {
  assert.equal(matches({ type: "deploy.*, system_alert" }, {}), true);
  assert.equal(matches({ type: "a,b" }, {}), false);
  assert.equal(matches({ topic: "ops/*, shop" }, { topic: "shop" }), true);
  assert.equal(matches({ topic: " , " }, { topic: "shop" }), true);
});

test("the hub is asked for what it understands of a filter", () => {
  const asked = (filter) => parametersOf({ ...EVERYTHING, ...filter }).toString();
  assert.equal(asked({ topic: "ops/*, shop", type: "a,b", text: "x", source: "api" }), "topic=ops%2F*&topic=shop&type=a&type=b");
  assert.equal(asked({ type: "a, b.*" }), "");
});

test("a search does not find the names of fields that every event has", () => {
  assert.equal(matches({ text: "timestamp" }, { message: "x", timestamp: "2026-01-01T00:00:00Z" }), false);
});

test("characters that mean something elsewhere are plain characters", () => {
  assert.equal(matches({ text: ".*[" }, { message: "a .*[ b" }), true);
  assert.equal(matches({ text: ".*" }, { message: "ab" }), false);
});

test("a filter survives its way through the page's address", () => {
  const filter = { text: "a&b=c é", type: "x", source: "", topic: "ops/*" };
  const query = queryOf(filter, new URLSearchParams("theme=dark&q=old&source=old"));
  assert.deepEqual(filterOf(new URLSearchParams(query)), filter);
  assert.match(query, /theme=dark/);
  assert.equal(queryOf(EVERYTHING, new URLSearchParams("q=old")), "");
});

test("an address of any length makes a filter of some length", () => {
  assert.equal(filterOf(new URLSearchParams({ q: "x".repeat(100_000) })).text.length, 300);
  assert.equal(isEverything(filterOf(new URLSearchParams("other=1"))), true);
});

test("20,000 events are searched", (t) => {
  const entries = Array.from({ length: 20_000 }, (_, n) =>
    entryOf({ message: `Sauvegarde terminée en ${n} s`, data: { host: `srv-${n % 50}`, n }, topic: "ops" }),
  );
  const times = ["termine 19999", "srv-7"].map((text) => {
    const start = performance.now();
    assert.ok(entries.some(matcherOf({ ...EVERYTHING, text })));
    entries.filter(matcherOf({ ...EVERYTHING, text }));
    return Math.round(performance.now() - start);
  });
  t.diagnostic(`first search ${times[0]} ms, next ${times[1]} ms`);
  // 100 ms is the aim, and the soak test holds it to that in a browser; here a bound catches a search that never ends.
  assert.ok(Math.max(...times) < 30_000);
});
