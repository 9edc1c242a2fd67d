import assert from "node:assert/strict";
import { test } from "node:test";
import { PublishError, publish } from "../../../client/js/src/publish.js";
import { World } from "./world.mjs";

const EVENT = { type: "note", message: "é" };
const DONE = '{"success": true, "id": "5-1"}';

/** A publish that is under way; `outcome` is what it comes to. */
function publishing(options) {
  const world = new World();
  const outcome = publish("http://hub/live/events?topic=a", EVENT, world.outside, options).catch((error) => error);
  return { world, outcome };
}

test("it is a POST beside the stream, with a key that no other one has", async () => {
  const { world, outcome } = publishing();
  const { url, headers } = world.last;
  assert.equal(url.href, "http://hub/live/api/notify");
  assert.match(headers["Idempotency-Key"], /^[0-9a-z-]{20,}$/);
  assert.notEqual(publishing().world.last.headers["Idempotency-Key"], headers["Idempotency-Key"]);
  await world.act("refuse", 200, {}, DONE);
  assert.equal((await outcome).id, "5-1");
});

test("while nobody knows whether it was published, it is tried again under the same key", async () => {
  const { world, outcome } = publishing();
  await world.act("fail");
  await world.pass(1_000);
  await world.act("refuse", 503, { "Retry-After": "7" }, '{"error": "busy", "code": "busy"}');
  await world.pass(6_000);
  assert.equal(world.requests.length, 2);
  await world.pass(1_000);
  assert.equal(world.requests.length, 3);
  assert.equal(new Set(world.requests.map(({ headers }) => headers["Idempotency-Key"])).size, 1);
  await world.act("refuse", 200, {}, DONE);
  assert.equal((await outcome).id, "5-1");
});

test("what the hub refuses is not tried again, and fails with its words", async () => {
  const { world, outcome } = publishing();
  await world.act("refuse", 409, {}, '{"error": "ended", "code": "topic_ended", "field": "topic"}');
  const { name, message, status, code, field } = await outcome;
  assert.deepEqual([name, message, status, code, field], ["PublishError", "ended", 409, "topic_ended", "topic"]);
});

test("after the last try it fails, with status 0 where there was no answer", async () => {
  const { world, outcome } = publishing({ tries: 2 });
  await world.act("fail");
  await world.pass(1_000);
  await world.act("fail");
  const error = await outcome;
  assert.ok(error instanceof PublishError);
  assert.deepEqual([error.status, world.requests.length], [0, 2]);
});

test("a signal ends the tries", async () => {
  const ending = new AbortController();
  const { world, outcome } = publishing({ signal: ending.signal });
  await world.act("fail");
  ending.abort(new Error("the page is left"));
  await world.pass(1_000);
  assert.equal((await outcome).message, "the page is left");
  assert.equal(world.requests.length, 1);
});
