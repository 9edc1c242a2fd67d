import assert from "node:assert/strict";
import { test } from "node:test";
import { alreadySeen } from "../../../client/js/src/cursor.js";

test("an event up to the last one seen was seen", () => {
  assert.equal(alreadySeen("1732-42", "1732-42"), true);
  assert.equal(alreadySeen("1732-42", "1732-9"), true);
});

test("a later event, or one of another epoch, was not", () => {
  assert.equal(alreadySeen("1732-42", "1732-100"), false);
  assert.equal(alreadySeen("1732-42", "1999-1"), false);
  assert.equal(alreadySeen("", "1732-1"), false);
});

test("IDs of another shape are only equal or not", () => {
  assert.equal(alreadySeen("abc", "abc"), true);
  assert.equal(alreadySeen("abc", "abd"), false);
  assert.equal(alreadySeen("1732-42", "42"), false);
});
