import assert from "node:assert/strict";
import { test } from "node:test";
import { delayBefore, retryAfterMs } from "../../../client/js/src/backoff.js";

test("the first delay starts at one second and the last stays within thirty", () => {
  assert.equal(delayBefore(1, null, 0), 1_000);
  for (const attempt of [1, 2, 5, 10, 1_000]) {
    for (const random of [0, 0.5, 0.999]) {
      const delay = delayBefore(attempt, null, random);
      assert.ok(delay >= 1_000 && delay <= 30_000, `${attempt} ${random}: ${delay}`);
    }
  }
});

test("delays grow with each failure, and keep a jitter at the end", () => {
  const delays = [1, 2, 3, 4, 5, 6].map((attempt) => delayBefore(attempt, null, 0.5));
  assert.deepEqual([...delays].sort((a, b) => a - b), delays);
  assert.notEqual(delayBefore(50, null, 0), delayBefore(50, null, 0.9));
});

test("no delay is shorter than the reconnection time that the hub asked for", () => {
  for (const attempt of [1, 2, 9]) assert.ok(delayBefore(attempt, 45_000, 0) >= 45_000);
  assert.ok(delayBefore(1, 3_412, 0) >= 3_412);
  assert.equal(delayBefore(1, 10, 0), 1_000);
});

test("Retry-After is read as seconds or as a date", () => {
  assert.equal(retryAfterMs("7", 0), 7_000);
  assert.equal(retryAfterMs("Thu, 01 Jan 1970 00:00:09 GMT", 4_000), 5_000);
  assert.equal(retryAfterMs("Thu, 01 Jan 1970 00:00:01 GMT", 4_000), 0);
  assert.equal(retryAfterMs("soon", 0), null);
  assert.equal(retryAfterMs(null, 0), null);
});

test("nobody can ask for more than an hour: a longer timer would fire at once", () => {
  for (const asked of [1e12, Number.POSITIVE_INFINITY]) {
    assert.equal(delayBefore(1, asked, 0.5), 3_600_000);
  }
});
