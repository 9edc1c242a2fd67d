import assert from "node:assert/strict";
import { test } from "node:test";
import { LIFE_MS, Notices, READ_MS } from "../../../frontend/js/feed/notices.js";

const keys = (notices) => notices.shown.map(({ entry }) => entry.key);
const entries = (from, to) => Array.from({ length: to - from }, (_, i) => ({ key: from + i }));

test("a notice lives three seconds", () => {
  const notices = new Notices(3);
  notices.push([{ key: 1 }], 1_000);
  notices.expire(3_999);
  assert.deepEqual(keys(notices), [1]);
  notices.expire(1_000 + LIFE_MS);
  assert.deepEqual(keys(notices), []);
});

test("a burst shows the newest, and counts the others", () => {
  const notices = new Notices(3);
  notices.push(entries(0, 50), 0);
  assert.deepEqual([keys(notices), notices.folded], [[47, 48, 49], 47]);
  notices.expire(LIFE_MS);
  assert.deepEqual([keys(notices), notices.folded], [[], 0]);
});

test("a newer one takes a place only when what is there could be read, and the newest is shown in the end", () => {
  const notices = new Notices(1);
  for (let key = 0; key < 100; key += 1) notices.push([{ key }], key);
  assert.deepEqual([keys(notices), notices.folded], [[0], 98]);
  notices.expire(READ_MS);
  assert.deepEqual(keys(notices), [99]);
});

test("a burst that does not end is not counted for ever", () => {
  const notices = new Notices(1);
  for (let now = 0; now < 60_000; now += 10) {
    notices.expire(now);
    notices.push([{ key: now }], now);
  }
  assert.ok(notices.folded <= LIFE_MS / 10);
});

test("one that is closed is gone", () => {
  const notices = new Notices(3);
  const [first, second] = entries(1, 3);
  notices.push([first, second], 0);
  notices.close(first);
  assert.deepEqual(keys(notices), [2]);
});
