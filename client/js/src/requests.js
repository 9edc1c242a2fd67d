// Requests to the hub: the outside world that they are made in, the credentials that they bear, and
// what is no answer to them.

/** @import { Cause } from "./stream.js" */
import { readObject } from "./json.js";

/**
 * The outside world, so that tests can bring their own.
 * @typedef {object} World
 * @property {(url: string, init: RequestInit) => Promise<Response>} fetch
 * @property {() => number} now milliseconds since 1970
 * @property {() => number} random from 0 up to 1
 * @property {() => boolean} online
 * @property {(run: () => void, ms: number) => any} after
 * @property {(timer: any) => void} cancel
 */

/** @type {World} */
export const BROWSER = {
  fetch: (url, init) => fetch(url, init),
  now: () => Date.now(),
  random: () => Math.random(),
  online: () => globalThis.navigator?.onLine !== false, // unknown outside of browsers
  after: (run, ms) => setTimeout(run, ms),
  cancel: (timer) => clearTimeout(timer),
};

/**
 * @typedef {object} Credentials
 * @property {Record<string, string>} [headers] that each request bears besides
 * @property {() => Token | Promise<Token>} [token] asked before each request for what it shall bear
 * @property {boolean} [withCredentials] whether cookies go to a hub of another origin too
 */

/** @typedef {string | {ticket: string} | null | undefined} Token a key or token, or a ticket, or nothing */

/** The connection failed, in whatever way the platform reports it. */
export class Lost extends Error {}

/** The token couldn't be had: a request that lacks it isn't made. */
export class TokenError extends Lost {}

/** For the promises of what reads from the network. @param {unknown} cause @returns {never} */
export function lost(cause) {
  throw cause instanceof Lost ? cause : new Lost("the connection failed", { cause });
}

/**
 * The same world, where each request bears credentials.
 * @param {Credentials} credentials
 * @param {World} [world]
 * @returns {World}
 */
export function worldWith({ headers, token, withCredentials }, world = BROWSER) {
  return {
    ...world,
    async fetch(url, init) {
      const given = await tokenOf(token);
      const address = new URL(url);
      /** @type {Record<string, string>} */
      const bearer = {};
      if (typeof given === "string" && given) bearer.Authorization = `Bearer ${given}`;
      if (given && typeof given === "object") address.searchParams.set("ticket", given.ticket);
      const all = { ...init, headers: /** @type {HeadersInit} */ ({ ...init.headers, ...headers, ...bearer }) };
      if (withCredentials) all.credentials = "include";
      return world.fetch(address.href, all);
    },
  };
}

/** @param {Credentials["token"]} token */
async function tokenOf(token) {
  try {
    return await token?.();
  } catch (cause) {
    throw new TokenError("no token", { cause });
  }
}

export const EVENT_STREAM = /^text\/event-stream\s*(;|$)/i;
export const JSON_TEXT = /^application\/json\s*(;|$)/i;

/**
 * Why an answer isn't what was asked for.
 * @param {Response} response
 * @param {RegExp} wanted types of content
 * @returns {Promise<Cause | null>} null where it is
 */
export async function refusalOf(response, wanted) {
  if (response.status === 204) return { code: "dismissed" };
  if (response.status !== 200) {
    const answer = readObject(await response.text().catch(lost));
    const detail = typeof answer?.error === "string" ? answer.error : "";
    return { code: "http", status: response.status, detail };
  }
  return wanted.test(response.headers.get("Content-Type") ?? "") ? null : { code: "format" };
}
