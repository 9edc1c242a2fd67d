import assert from "node:assert/strict";
import { test } from "node:test";
import { allows, headersOf, isKey, readRights } from "../../../frontend/js/access.js";

test("a key is what a header can bear", () => {
  for (const key of ["tocsin_aB-9", "a.b.c", "abc=="]) assert.ok(isKey(key));
  for (const text of ["", "a b", "a\nb", "é", "=a", "a,b", "\u200ba"]) assert.ok(!isKey(text));
});

test("no key makes no header", () => {
  assert.deepEqual(headersOf(""), {});
  assert.deepEqual(headersOf("k"), { Authorization: "Bearer k" });
});

test("a pattern is a topic or a prefix of it", () => {
  assert.ok(allows(["*"], "default"));
  assert.ok(allows(["a", "ci/*"], "ci/1"));
  assert.ok(!allows(["ci/*", "defaul"], "default"));
  assert.ok(!allows([], "default"));
});

test("what the hub says of rights is read whatever it holds", () => {
  const nothing = { authentication: false, principal: "", publish: [], subscribe: [], refused: false };
  assert.deepEqual(readRights({}), nothing);
  assert.deepEqual(readRights({ principal: null, publish: "*", subscribe: [1, null] }), nothing);
  const told = readRights({ authentication: true, principal: "key:a", publish: ["x"], subscribe: ["*"] });
  assert.deepEqual(told, { ...nothing, authentication: true, principal: "key:a", publish: ["x"], subscribe: ["*"] });
});
