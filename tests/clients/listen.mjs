// Listens with the npm package eventsource and prints each event as a line of JSON.
// usage: node listen.mjs URL
import { EventSource } from "eventsource";

const stream = new EventSource(process.argv[2]);
for (const type of ["connection", "gap", "notification", "message", "busy"]) {
  stream.addEventListener(type, ({ type, data, lastEventId }) => {
    process.stdout.write(`${JSON.stringify({ type, data, lastEventId })}\n`);
  });
}
