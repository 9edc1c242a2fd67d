// Where the channel runs, seen from a page: behind a worker's port, or in the page itself behind a port
// just like it.

/** @import { Port, Unshared } from "./protocol.js" */
/** @import { Credentials } from "./requests.js" */
import { Channel } from "./channel.js";
import { worldWith } from "./requests.js";

/** Tabs that speak another protocol, such as one left open over an update, must not share a worker. */
const PROTOCOL = 2;

/** The worker's script, beside this one; where a bundler has put this one into another file, there is none. */
const OWN_URL = String(import.meta.url);
const WORKER_URL = /\/(place|tocsin)\.js(\?|$)/.test(OWN_URL) ? OWN_URL.replace(/(place|tocsin)(?=\.js)/, "worker") : "";

/**
 * What browsers with Trusted Types offer; TypeScript's library doesn't know it.
 * @typedef {{createScriptURL: (url: string) => unknown}} TrustedPolicy
 * @typedef {{createPolicy: (name: string, rules: {createScriptURL: (url: string) => string}) => TrustedPolicy}} TrustedTypes
 */

/**
 * @typedef {object} WorkerOptions
 * @property {string | URL} [worker] the address of the worker's script, where it isn't beside the client's other modules
 * @property {string | TrustedPolicy} [trustedTypes] the policy that makes the worker's address, or the name for one
 */

/**
 * Why there can be no worker, as far as that can be known beforehand.
 * @param {WorkerOptions} options
 * @returns {Unshared | null}
 */
export function whyNoWorker({ worker = WORKER_URL }) {
  if (typeof SharedWorker === "undefined") return "unsupported";
  if (!worker) return "bundled";
  return new URL(worker, location.href).origin === location.origin ? null : "origin";
}

/**
 * @param {string} streamUrl
 * @param {WorkerOptions} options
 * @param {() => void} onFailure called later when the worker can't be loaded, maybe more than once
 * @returns {Port | null} null where none can be started
 */
export function portOfWorker(streamUrl, { worker = WORKER_URL, trustedTypes }, onFailure) {
  try {
    const name = `tocsin ${PROTOCOL} ${streamUrl}`;
    const url = /** @type {string} */ (trusted(String(worker), trustedTypes));
    const shared = new SharedWorker(url, { type: "module", name });
    shared.onerror = onFailure;
    return shared.port;
  } catch {
    return null; // forbidden, as in a sandboxed frame
  }
}

/** @type {Map<string, TrustedPolicy>} a page may make each only once */
const policies = new Map();

/** @param {string} url @param {WorkerOptions["trustedTypes"]} policy */
function trusted(url, policy) {
  const { trustedTypes: types } = /** @type {{trustedTypes?: TrustedTypes}} */ (globalThis);
  if (!types || !policy) return url;
  if (typeof policy !== "string") return policy.createScriptURL(url);
  // It makes one address, whatever it is asked for, so it can't be talked into another.
  const made = policies.get(policy) ?? types.createPolicy(policy, { createScriptURL: () => url });
  policies.set(policy, made);
  return made.createScriptURL(url);
}

/** @param {Credentials} credentials @returns {Port} */
export function portOfPage(credentials) {
  const { port1, port2 } = new MessageChannel();
  new Channel(false, worldWith(credentials)).serve(port2);
  return port1;
}
