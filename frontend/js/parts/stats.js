// Asks the hub about itself, and for its past. A hub that doesn't answer is no matter of its own: the bar tells of it.

/** @import { HubFacts } from "../feed/hub-facts.js" */
/** @import { Latency } from "../feed/latency.js" */
/** @import { HistoryPage } from "../feed/past.js" */
import { readFacts } from "../feed/hub-facts.js";
import { readPage } from "../feed/past.js";
import { readObject } from "../../client/v1/json.js";

const PATIENCE_MS = 10_000;

/**
 * @param {string} url
 * @param {Record<string, string>} headers that say who asks
 * @param {Latency} latency is told how the two clocks compare
 * @returns {Promise<HubFacts | null>} null when the hub doesn't tell
 */
export async function askFacts(url, headers, latency) {
  const asked = Date.now();
  const answer = await ask(url, headers);
  if (!answer) return null;
  const facts = readFacts(answer);
  if (!Number.isNaN(facts.time)) latency.compare(facts.time, asked, Date.now());
  return facts;
}

/**
 * @param {string} url of the history
 * @param {URLSearchParams} parameters
 * @param {Record<string, string>} headers
 * @returns {Promise<HistoryPage | null>} null when there was no answer
 */
export async function askPage(url, parameters, headers) {
  return readPage(await ask(`${url}?${parameters}`, headers));
}

/** @param {string} url @param {Record<string, string>} headers @returns {Promise<Record<string, unknown> | null>} */
async function ask(url, headers) {
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const response = await fetch(url, { headers, signal, cache: "no-store" });
    const answer = readObject(await response.text());
    return response.ok ? answer : null;
  } catch {
    return null;
  }
}
