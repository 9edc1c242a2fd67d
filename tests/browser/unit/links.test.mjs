import assert from "node:assert/strict";
import { test } from "node:test";
import { linkParts } from "../../../frontend/js/feed/links.js";
import { cursorBefore, idAfter, readPage } from "../../../frontend/js/feed/past.js";
import { pathOf } from "../../../frontend/js/feed/paths.js";

const linksOf = (text) => linkParts(text).filter(({ href }) => href !== "").map(({ text: shown, href }) => [shown, href]);

test("http and https addresses are links, without the sentence around them", () => {
  assert.deepEqual(linksOf("See https://ci.example/run/7?a=1#log, or (http://b.example/x)."), [
    ["https://ci.example/run/7?a=1#log", "https://ci.example/run/7?a=1#log"],
    ["http://b.example/x", "http://b.example/x"],
  ]);
});

test("nothing else is a link", () => {
  const texts = ["javascript:alert(1)", "data:text/html,x", "//evil.example", "ftp://a.example", "http://", "xhttps:/a", "mailto:a@b.example"];
  for (const text of texts) assert.deepEqual(linksOf(text), [], text);
});

test("a link knows the address that the browser would go to", () => {
  assert.deepEqual(linksOf("https://раураl.com")[0][1], "https://xn--l-7sba6dbr.com/");
});

test("the parts of a text read like the text, whatever it holds", () => {
  for (const text of ["", "a", "http://a.example b http://b.example", '<a href="http://x.example">', "http://a.example\n\u202e", "http://".repeat(500)]) {
    assert.equal(linkParts(text).map((part) => part.text).join(""), text);
  }
});

test("a text of nothing but addresses makes few links", () => {
  assert.ok(linksOf("http://a.example ".repeat(5_000)).length <= 51);
});

test("the path to a place is written as JavaScript and jq write it", () => {
  assert.equal(pathOf(["list", 2, "deep", "a b", '"', "1x", "$_é"]), '.list[2].deep["a b"]["\\""]["1x"]["$_é"]');
  assert.equal(pathOf([]), "");
});

test("ids and cursors lie beside each other", () => {
  assert.deepEqual([idAfter("5-7"), idAfter("5-0"), idAfter("x"), idAfter("")], ["5-8", "5-1", "", ""]);
  assert.deepEqual([cursorBefore("5-7"), cursorBefore("5-0"), cursorBefore("x")], ["5-6", "", ""]);
});

test("a page of the history is read, and nothing else for one", () => {
  assert.deepEqual(readPage({ events: [], previous: "5-1" }), { events: [], previous: "5-1" });
  assert.deepEqual(readPage({ events: [], previous: null }), { events: [], previous: null });
  for (const answer of [null, {}, { events: "x" }]) assert.equal(readPage(answer), null);
});
