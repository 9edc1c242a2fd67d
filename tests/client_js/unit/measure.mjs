// Prints what the parser reads in a second, and what a full store takes. Run with --expose-gc.
import { EventStreamParser } from "../../../client/js/src/parser.js";
import { MOST_EVENTS, Store } from "../../../client/js/src/store.js";

const EVENTS = 200_000;
const CHUNK_BYTES = 65_536;

const blocks = Array.from({ length: EVENTS }, (_, n) => {
  const data = { message: "x".repeat(60), data: { n }, timestamp: "2026-11-24T08:00:00.000Z", source: "api" };
  return `event: notification\ndata: ${JSON.stringify(data)}\nid: 1732345678901-${n + 1}\n\n`;
});
const bytes = Buffer.from(blocks.join(""));

/** Reads all of it as a stream would. @param {(event: object) => void} onEvent */
function parse(onEvent) {
  const parser = new EventStreamParser({ onEvent });
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    parser.push(decoder.decode(bytes.subarray(at, at + CHUNK_BYTES), { stream: true }));
  }
}

const rounds = [1, 2, 3, 4, 5].map(() => {
  const begun = performance.now();
  parse(() => {});
  return EVENTS / ((performance.now() - begun) / 1_000);
});
const median = rounds.sort((a, b) => a - b)[2];
console.log(`parser: ${Math.round(median).toLocaleString("en")} events/s of ${Math.round(bytes.length / EVENTS)} bytes`);

global.gc();
const before = process.memoryUsage().heapUsed;
const store = new Store("");
parse((event) => store.append({ ...event, at: Date.now(), client: 1, replayed: false }));
global.gc();
const used = process.memoryUsage().heapUsed - before;
console.log(
  `store: ${(store.end - store.first).toLocaleString("en")} of ${MOST_EVENTS.toLocaleString("en")} events,` +
    ` ${(used / 2 ** 20).toFixed(1)} MiB of heap, counted as ${(store.bytes / 2 ** 20).toFixed(1)} MiB`,
);
