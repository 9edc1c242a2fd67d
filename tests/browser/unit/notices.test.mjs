import assert from "node:assert/strict";
import { test } from "node:test";
import { LIFE_MS, Notices } from "../../../frontend/js/feed/notices.js";

const keys = (notices) => notices.shown.map(({ entry }) => entry.key);

test("a notice lives three seconds", () => {
  const notices = new Notices(3);
  notices.push({ key: 1 }, 1_000);
  notices.expire(3_999);
  assert.deepEqual(keys(notices), [1]);
  notices.expire(1_000 + LIFE_MS);
  assert.deepEqual(keys(notices), []);
});

test("a burst that does not end is not counted for ever", () => {
  const notices = new Notices(1);
  for (let now = 0; now < 60_000; now += 10) {
    notices.expire(now);
    notices.push({ key: now }, now);
  }
  assert.ok(notices.folded <= LIFE_MS / 10);
});

test("a burst shows three that can be read, and counts the others", () => {
  const notices = new Notices(3);
  for (let key = 0; key < 50; key += 1) notices.push({ key }, 0);
  assert.deepEqual([keys(notices), notices.folded], [[0, 1, 2], 47]);
  notices.expire(LIFE_MS);
  assert.deepEqual([keys(notices), notices.folded], [[], 0]);
});
