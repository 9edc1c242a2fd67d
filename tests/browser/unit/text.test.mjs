import assert from "node:assert/strict";
import { test } from "node:test";
import { beginning, isPlain, segments, visible } from "../../../frontend/js/feed/text.js";

test("text without hidden characters stays as it is", () => {
  const texts = ["", "plain", "two\nlines\tand a tab", "<script>alert(1)</script>", "שלום مرحبا", "e\u0301"];
  for (const text of texts) assert.equal(visible(text), text);
});

test("control, bidi and zero-width characters are named", () => {
  assert.equal(visible("a\0b"), "a⟨U+0000⟩b");
  assert.equal(visible("\r\u001b[31m\u007f\u0085"), "⟨U+000D⟩⟨U+001B⟩[31m⟨U+007F⟩⟨U+0085⟩");
  assert.equal(visible("photo_\u202Egpj.exe"), "photo_⟨U+202E⟩gpj.exe");
  assert.equal(visible("\u200E\u200F\u061C\u2066\u2069"), "⟨U+200E⟩⟨U+200F⟩⟨U+061C⟩⟨U+2066⟩⟨U+2069⟩");
  assert.equal(visible("a\u200Bb\u200Cc\u200Dd\uFEFF\u00AD\u2060"),
    "a⟨U+200B⟩b⟨U+200C⟩c⟨U+200D⟩d⟨U+FEFF⟩⟨U+00AD⟩⟨U+2060⟩");
  assert.equal(visible("\u2028\u2029\u3164\u034F"), "⟨U+2028⟩⟨U+2029⟩⟨U+3164⟩⟨U+034F⟩");
});

test("letters smuggled as tag characters, and half a surrogate pair, are named", () => {
  assert.equal(visible("\u{E0041}"), "⟨U+E0041⟩");
  assert.equal(visible("\uD800!"), "⟨U+D800⟩!");
});

test("emoji keep the joiners and selectors that make them", () => {
  for (const emoji of ["😀", "👩‍👩‍👧‍👦", "❤️", "🏳️‍🌈", "👩🏽‍🚀", "1️⃣"]) assert.equal(visible(emoji), emoji);
  assert.equal(visible("a\uFE0F"), "a⟨U+FE0F⟩");
});

test("an escape is told apart from the same letters in the text", () => {
  assert.deepEqual(segments("⟨U+0000⟩\0"), [
    { text: "⟨U+0000⟩", hidden: false },
    { text: "⟨U+0000⟩", hidden: true },
  ]);
});

test("escapes side by side are one part", () => {
  assert.deepEqual(segments("a\0\u202eb"), [
    { text: "a", hidden: false },
    { text: "⟨U+0000⟩⟨U+202E⟩", hidden: true },
    { text: "b", hidden: false },
  ]);
});

test("a text of nothing but escapes makes few parts, and hides nothing", () => {
  const text = "a\u200b".repeat(1_000);
  const parts = segments(text, 5);
  assert.ok(parts.length <= 11);
  assert.equal(parts.map((part) => part.text).join(""), "a⟨U+200B⟩".repeat(1_000));
});

test("a text called plain holds no hidden character", () => {
  for (let code = 0; code < 0x3000; code += 1) {
    const character = String.fromCodePoint(code);
    if (isPlain(character)) assert.equal(visible(character), character, code.toString(16));
  }
});

test("the beginning of a text ends between two characters", () => {
  assert.equal(beginning("abc", 3), "abc");
  assert.equal(beginning("abcd", 3), "abc…");
  assert.equal(beginning("ab😀d", 3), "ab…");
});
