// Publishing: one POST, tried again under the same idempotency key until it is answered.

/** @import { World } from "./requests.js" */
import { delayBefore, retryAfterMs } from "./backoff.js";
import { readObject } from "./json.js";
import { Lost, lost } from "./requests.js";

/**
 * @typedef {object} Draft an event to publish
 * @property {string} type
 * @property {string} message
 * @property {Record<string, unknown>} [data]
 * @property {string} [topic]
 * @property {string[]} [topics] further topics of the same event
 * @property {boolean} [final] whether it ends its topic
 */

/**
 * @typedef {object} PublishOptions
 * @property {string} [key] the idempotency key, by default a random one
 * @property {number} [tries] how often it is tried at most
 * @property {AbortSignal} [signal] ends the tries
 */

const TRIES = 5;
/** Nobody knows whether these tries were of no effect, or they may be repeated by their meaning. */
const AGAIN = [408, 425, 429, 500, 502, 503, 504];

/** The event was not published: the hub refused it, or no try was answered, and nobody knows. */
export class PublishError extends Error {
  name = "PublishError";

  /**
   * @param {string} message the hub's words
   * @param {number} status of HTTP; 0 where there was no answer
   * @param {string} code the hub's word for it, or ""
   * @param {string} field that is at fault, or ""
   */
  constructor(message, status, code = "", field = "") {
    super(message);
    this.status = status;
    this.code = code;
    this.field = field;
  }
}

/**
 * Publishes an event, or several as one batch.
 * @param {string} streamUrl
 * @param {Draft | Draft[]} event
 * @param {World} world
 * @param {PublishOptions} [options]
 * @returns {Promise<Record<string, unknown>>} what the hub answers
 */
export async function publish(streamUrl, event, world, { key = randomKey(), tries = TRIES, signal } = {}) {
  const url = new URL("api/notify", streamUrl).href;
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
  const init = { method: "POST", headers, body: JSON.stringify(event), signal };
  for (let attempt = 1; ; attempt += 1) {
    /** @type {Response | Lost} */
    const response = await world.fetch(url, init).catch(lost).catch((error) => error);
    signal?.throwIfAborted();
    const isLost = response instanceof Lost;
    const text = isLost ? null : await response.text().catch(() => null);
    const answer = readObject(text ?? "");
    if (!isLost && response.ok && answer) return answer;
    const status = isLost ? 0 : response.status;
    const isFinal = status !== 0 && text !== null && !AGAIN.includes(status);
    if (isFinal || attempt >= tries) throw errorOf(status, answer, response);
    const asked = isLost ? null : retryAfterMs(response.headers.get("Retry-After"), world.now());
    const delay = delayBefore(asked === null ? attempt : 1, asked, world.random());
    await new Promise((resolve) => world.after(() => resolve(null), delay));
    signal?.throwIfAborted();
  }
}

/** @param {number} status @param {Record<string, unknown> | null} answer @param {unknown} cause */
function errorOf(status, answer, cause) {
  const { error = status ? `the answer was ${status}` : "there was no answer", code = "", field = "" } = answer ?? {};
  const failed = new PublishError(String(error), status, String(code), String(field));
  if (cause instanceof Lost) failed.cause = cause;
  return failed;
}

/** 128 random bits; randomUUID() is missing where the page came over plain http. */
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("-");
}
