// Where the channel runs, seen from a page: behind a worker's port, or in the page itself behind a port
// just like it.

/** @import { Port } from "./protocol.js" */
/** @import { World } from "./stream.js" */
import { Channel } from "./channel.js";
import { BROWSER } from "./stream.js";

/** Tabs that speak another protocol, such as one left open over an update, must not share a worker. */
const PROTOCOL = 1;
const WORKER_URL = new URL("./worker.js", import.meta.url).href;

/**
 * What browsers with Trusted Types offer; TypeScript's library doesn't know it.
 * @typedef {{createPolicy: (name: string, rules: {createScriptURL: () => string}) =>
 *   {createScriptURL: (input: string) => string}}} TrustedTypes
 */

// The page's only policy. It makes one URL, whatever it is asked for, so it can't be talked into another.
const { trustedTypes } = /** @type {{trustedTypes?: TrustedTypes}} */ (globalThis);
const policy = trustedTypes?.createPolicy("tocsin", { createScriptURL: () => WORKER_URL });

/**
 * @param {string} streamUrl
 * @param {() => void} onFailure called later when the worker can't be loaded, maybe more than once
 * @returns {Port | null} null when this browser has no shared workers
 */
export function portOfWorker(streamUrl, onFailure) {
  if (typeof SharedWorker === "undefined") return null;
  try {
    const name = `tocsin ${PROTOCOL} ${streamUrl}`;
    const worker = new SharedWorker(policy?.createScriptURL("") ?? WORKER_URL, { type: "module", name });
    worker.onerror = onFailure;
    return worker.port;
  } catch {
    return null; // forbidden, as in a sandboxed frame
  }
}

/** @param {Record<string, string>} headers that each request bears besides @returns {Port} */
export function portOfPage(headers) {
  const { port1, port2 } = new MessageChannel();
  /** @type {World["fetch"]} */
  const fetchWith = (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } });
  new Channel(false, { ...BROWSER, fetch: fetchWith }).serve(port2);
  return port1;
}
