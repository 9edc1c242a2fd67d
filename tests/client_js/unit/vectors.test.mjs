// The cases that the standard's parser must pass, whole and cut at every byte. A test in Chromium
// holds the same ones against its EventSource.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { EventStreamParser } from "../../../client/js/src/parser.js";

const VECTORS = JSON.parse(await readFile(new URL("vectors.json", import.meta.url), "utf8"));

/** Parses bytes given in pieces, as they come from a network. */
function parse(...pieces) {
  const events = [];
  const retries = [];
  const parser = new EventStreamParser({
    onEvent: ({ type, data, id }) => events.push([type, data, id]),
    onRetry: (ms) => retries.push(ms),
  });
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for (const piece of pieces) parser.push(decoder.decode(piece, { stream: true }));
  return { events, retries, lastEventId: parser.lastEventId };
}

for (const { name, text, hex, ...expected } of VECTORS) {
  const bytes = hex ? Buffer.from(hex, "hex") : Buffer.from(text);
  const lastEventId = expected.events.at(-1)[2];
  const whole = { retries: [], lastEventId, ...expected };

  test(name, () => assert.deepEqual(parse(bytes), whole));

  test(`${name}, cut anywhere`, () => {
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      assert.deepEqual(parse(bytes.subarray(0, cut), bytes.subarray(cut)), whole, `cut at ${cut}`);
    }
    assert.deepEqual(parse(...Array.from(bytes, (byte) => Uint8Array.of(byte))), whole);
  });
}
