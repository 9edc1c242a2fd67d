import assert from "node:assert/strict";
import { test } from "node:test";
import { EventStreamParser } from "../../../client/js/src/parser.js";

/** Parses text, given in one piece or cut into pieces; returns what was reported. */
function parse(...chunks) {
  const events = [];
  const retries = [];
  const parser = new EventStreamParser({
    onEvent: ({ type, data, id }) => events.push([type, data, id]),
    onRetry: (ms) => retries.push(ms),
  });
  for (const chunk of chunks) parser.push(chunk);
  return { events, retries, lastEventId: parser.lastEventId };
}

const STREAM =
  "\uFEFFretry: 3412\nevent: connection\r\ndata: {\"id\": 7}\rid: 1-4\n\n:\r\n" +
  "event: note\r\ndata: one\r\ndata:  two\r\n\r\n: a comment\rdata\r\rid: 1-6\rdata: é😀\r\r";
const EVENTS = [
  ["connection", '{"id": 7}', "1-4"],
  ["note", "one\n two", "1-4"],
  ["message", "", "1-4"],
  ["message", "é😀", "1-6"],
];

test("every line ending, comment and field of the standard is understood", () => {
  assert.deepEqual(parse(STREAM), { events: EVENTS, retries: [3412], lastEventId: "1-6" });
});

test("the events are the same wherever the stream is cut", () => {
  for (let cut = 0; cut <= STREAM.length; cut += 1) {
    assert.deepEqual(parse(STREAM.slice(0, cut), STREAM.slice(cut)).events, EVENTS, `cut at ${cut}`);
  }
  assert.deepEqual(parse(...STREAM.split("")).events, EVENTS);
});

test("an event that ends with CR is dispatched without waiting for a line feed", () => {
  assert.equal(parse("data: now\r\r").events.length, 1);
});

test("a line feed right after a chunk that ended with CR is the same line ending", () => {
  assert.deepEqual(parse("data: a\r", "", "\ndata: b\n\n").events, [["message", "a\nb", ""]]);
});

test("only one byte order mark is stripped, and only at the start", () => {
  assert.deepEqual(parse("\uFEFF\uFEFFdata: a\n\n").events, []);
  assert.deepEqual(parse("data: \uFEFFa\n\n").events, [["message", "\uFEFFa", ""]]);
});

test("a block without data is no event, but its ID counts", () => {
  assert.deepEqual(parse("event: x\nid: 9\n\n"), { events: [], retries: [], lastEventId: "9" });
});

test("the type of a block without data does not stick to the next event", () => {
  assert.deepEqual(parse("event: x\n\ndata: a\n\n").events, [["message", "a", ""]]);
});

test("an incomplete last block is no event and does not move the last event ID", () => {
  assert.deepEqual(parse("id: 1\ndata: a\n\nid: 2\ndata: b\n").lastEventId, "1");
});

test("an ID with NUL is ignored, an empty one resets", () => {
  assert.equal(parse("id: 1\nid: 2\0\ndata: a\n\n").lastEventId, "1");
  assert.equal(parse("id: 1\ndata: a\n\nid\ndata: b\n\n").lastEventId, "");
});

test("retry counts only when it is all digits", () => {
  assert.deepEqual(parse("retry: 10\nretry: 1e3\nretry: -1\nretry:\nretry: 20\n").retries, [10, 20]);
});

test("only one space after the colon is syntax; unknown fields and other case are ignored", () => {
  assert.deepEqual(parse("data:a\ndata:  b\nData: c\nother: d\n data: e\n\n").events, [
    ["message", "a\n b", ""],
  ]);
});

test("an event tells whether it carries an ID of its own", () => {
  const own = [];
  const parser = new EventStreamParser({ onEvent: (event) => own.push(event.ownId) }, "1-1");
  parser.push("data: a\n\nid: 1-2\ndata: b\n\ndata: c\n\n");
  assert.deepEqual(own, [false, true, false]);
});
