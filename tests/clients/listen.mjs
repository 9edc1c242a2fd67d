// Listens at each URL with an npm package, or with the hub's own client, and prints each event as a line of JSON: which URL it was, type, data, id.
// usage: node listen.mjs PACKAGE URL...
import { createRequire } from "node:module";

const [, , name, ...urls] = process.argv;
const TYPES = ["connection", "gap", "notification", "message", "busy", "end"];
const require = createRequire(import.meta.url);

function print(stream, type, data, lastEventId) {
  process.stdout.write(`${JSON.stringify({ stream, type, data, lastEventId })}\n`);
}

// As browsers have it: it reconnects by itself.
function listenWith(EventSource) {
  return (url, stream) => {
    const source = new EventSource(url);
    for (const type of TYPES) {
      source.addEventListener(type, (event) => {
        // launchdarkly-eventsource has an `end` of its own, which tells of a connection and has no data.
        if (event.data !== undefined) print(stream, type, event.data, event.lastEventId);
      });
    }
    source.onerror = () => {}; // launchdarkly-eventsource throws where nobody listens
    return source;
  };
}

// With `onclose` an orderly end is an error, after which it comes back; without it, it stops there.
function fetchWith(options) {
  const { fetchEventSource } = require("@microsoft/fetch-event-source");
  globalThis.window ??= globalThis; // it is made for browsers
  globalThis.document ??= { hidden: false, addEventListener() {}, removeEventListener() {} };
  return (url, stream) =>
    fetchEventSource(url, {
      openWhenHidden: true,
      onmessage: ({ event, data, id }) => print(stream, event, data, id),
      ...options,
    }).then(() => process.exit());
}

// The hub's own client, by its module in this repository. It takes `busy` for a cause, not for an event.
async function listenWithOurs() {
  const { TocsinSource } = await import("../../client/js/src/tocsin.js");
  const listen = listenWith(TocsinSource);
  return (url, stream) =>
    listen(url, stream).addEventListener("tocsin:state", ({ detail: { phase, cause } }) => {
      const isBusy = phase === "waiting" && ["full", "draining", "busy"].includes(cause.code);
      if (isBusy) print(stream, "busy", JSON.stringify({ reason: cause.code }), "");
    });
}

const clients = {
  "tocsin-client": listenWithOurs,
  eventsource: async () => listenWith((await import("eventsource")).EventSource),
  undici: async () => listenWith((await import("undici")).EventSource),
  "launchdarkly-eventsource": async () => listenWith(require("launchdarkly-eventsource").EventSource),
  "eventsource-client": async () => {
    const { createEventSource } = await import("eventsource-client");
    return (url, stream) =>
      createEventSource({ url, onMessage: ({ event, data, id }) => print(stream, event, data, id ?? "") });
  },
  "@microsoft/fetch-event-source": async () =>
    fetchWith({
      onclose() {
        throw new Error("the hub ended the stream");
      },
    }),
  "@microsoft/fetch-event-source without onclose": async () => fetchWith({}),
};

setInterval(() => {}, 60_000); // undici's wait for the next attempt doesn't keep a process
const listen = await clients[name]();
urls.forEach((url, stream) => void listen(url, stream));
