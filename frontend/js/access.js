// The key or token that a person gave this tab, and what it lets them do. It is kept for the tab, in the session
// storage, and sent in a header alone: it is in no address, and the worker that tabs share never has it.

import { readObject } from "../client/v1/json.js";

/**
 * Who one is at the hub, and what one may do there.
 * @typedef {object} Rights
 * @property {boolean} authentication whether the hub asks for keys at all
 * @property {string} principal "" for who said nothing
 * @property {string[]} publish patterns of topics
 * @property {string[]} subscribe
 * @property {boolean} refused whether the hub knows the key as no good; there are no rights then
 */

const STORED = "tocsin.key";
const PATIENCE_MS = 5_000;

/** What a key or token may look like (RFC 6750): anything else could not be sent. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/** The key of this tab, or "". */
export function recallKey() {
  try {
    return sessionStorage.getItem(STORED) ?? "";
  } catch {
    return "";
  }
}

/** Keeps the key for the tab; "" forgets it. @param {string} key @returns {boolean} whether the browser does */
export function keepKey(key) {
  try {
    if (key) sessionStorage.setItem(STORED, key);
    else sessionStorage.removeItem(STORED);
    return true;
  } catch {
    return false; // storage may be forbidden
  }
}

/** @param {string} text */
export function isKey(text) {
  return TOKEN.test(text);
}

/** The header that bears `key`, or none. @param {string} key @returns {Record<string, string>} */
export function headersOf(key) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/**
 * Asks the hub who one is there.
 * @param {string} url
 * @param {string} key
 * @returns {Promise<Rights | null>} null when the hub doesn't tell, as an older one
 */
export async function askRights(url, key) {
  try {
    const init = { headers: headersOf(key), signal: AbortSignal.timeout(PATIENCE_MS), cache: /** @type {const} */ ("no-store") };
    const response = await fetch(url, init);
    if (response.status === 401) return { ...NOTHING, refused: true };
    const answer = readObject(await response.text());
    return response.ok && answer ? readRights(answer) : null;
  } catch {
    return null;
  }
}

/** @type {Rights} */
const NOTHING = { authentication: true, principal: "", publish: [], subscribe: [], refused: false };

/** @param {Record<string, unknown>} answer @returns {Rights} */
export function readRights(answer) {
  return {
    authentication: answer.authentication === true,
    principal: typeof answer.principal === "string" ? answer.principal : "",
    publish: textsOf(answer.publish),
    subscribe: textsOf(answer.subscribe),
    refused: false,
  };
}

/** Whether one of `patterns` is `topic`, or a prefix of it. @param {string[]} patterns @param {string} topic */
export function allows(patterns, topic) {
  return patterns.some((each) => (each.endsWith("*") ? topic.startsWith(each.slice(0, -1)) : each === topic));
}

/** @param {unknown} value @returns {string[]} */
function textsOf(value) {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}
