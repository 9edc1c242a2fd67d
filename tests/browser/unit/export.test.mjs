import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { eventEntry, gapEntry } from "../../../frontend/js/feed/entry.js";
import { csvOf, curlOf, draftOf, jsonOf, ndjsonOf } from "../../../frontend/js/feed/export.js";

function entryOf(payload, type = "system_alert") {
  const data = JSON.stringify({ timestamp: "2026-11-24T08:00:00.000Z", source: "api", topic: "ops", ...payload });
  return eventEntry({ type, data, id: "1-2", ownId: true, at: 0, client: 1 }, 0);
}

const GAP = gapEntry({ data: '{"reason":"evicted","missed":3}', at: 0 }, 1, null);

/** A small reader of CSV (RFC 4180), to check what was written. */
function readCsv(text) {
  const cells = text.replace(/^\uFEFF/, "").matchAll(/("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n)/g);
  const rows = [[]];
  for (const [, cell, end] of cells) {
    rows.at(-1).push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
    if (end === "\r\n") rows.push([]);
  }
  return rows.slice(0, -1);
}

test("NDJSON holds an event a line, with all that it said", () => {
  const entries = [entryOf({ message: "two\nlines", data: { a: 1 }, count: 4 }), GAP];
  const lines = ndjsonOf(entries).trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines[0], {
    id: "1-2",
    time: "2026-11-24T08:00:00.000Z",
    type: "system_alert",
    topic: "ops",
    source: "api",
    count: 4,
    message: "two\nlines",
    data: { a: 1 },
  });
  assert.deepEqual([lines[1].type, lines[1].missed], ["gap", 3]);
});

test("CSV comes back as what went in", () => {
  const message = 'a "quoted", comma\r\nline';
  const [head, row, gap] = readCsv(csvOf([entryOf({ message, data: { a: "b,c" } }), GAP]));
  assert.deepEqual(head, ["id", "time", "type", "topic", "source", "count", "message", "data"]);
  assert.equal(row[6], message);
  assert.deepEqual(JSON.parse(row[7]), { a: "b,c" });
  assert.deepEqual([gap[2], gap[6]], ["gap", "evicted: 3"]);
});

test("CSV holds nothing that a spreadsheet would run", () => {
  for (const message of ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "|cmd", "=HYPERLINK(\"http://x\",\"y\")"]) {
    const [, row] = readCsv(csvOf([entryOf({ message })]));
    assert.equal(row[6], `'${message}`);
  }
  const [, row] = readCsv(csvOf([entryOf({ message: "a = b, 5-3" })]));
  assert.equal(row[6], "a = b, 5-3");
});

test("JSON is the event and nothing of the page's own", () => {
  assert.deepEqual(Object.keys(JSON.parse(jsonOf(entryOf({ message: "m", data: {} })))), [
    "id", "time", "type", "topic", "source", "message", "data",
  ]);
});

/** What a shell makes of the command: curl's arguments. */
function argumentsOf(command) {
  const script = `curl() { printf '%s\\0' "$@"; }\n${command}`;
  return execFileSync("sh", ["-c", script], { encoding: "utf8" }).split("\0").slice(0, -1);
}

test("the curl command publishes the same event, whatever it holds", () => {
  const messages = ["plain", "it's", "$(touch /tmp/x) `id` $HOME \\ \" !", "'; rm -rf / #", "two\nlines", "é 👩‍👧", "@file", "\0\u001b[31m"];
  for (const message of messages) {
    const data = { nested: { quote: "'", list: [1, null] } };
    const args = argumentsOf(curlOf(draftOf(entryOf({ message, data })), "http://hub/it's/api/notify"));
    assert.deepEqual(args.slice(0, 5), ["-X", "POST", "http://hub/it's/api/notify", "-H", "Content-Type: application/json"]);
    assert.equal(args[5], "-d");
    assert.deepEqual(JSON.parse(args[6]), { type: "system_alert", message, topic: "ops", data });
  }
});

test("a pasted command shows a terminal no character that hides or reorders", () => {
  const command = curlOf(draftOf(entryOf({ message: "a\u202eb\u200bc\u{E0041}" })), "http://hub/");
  assert.match(command, /a\\u202eb\\u200bc\\udb40\\udc41/);
});
