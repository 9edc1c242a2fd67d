// Asks the hub for its clock and its history. A hub that doesn't answer is no matter of its own: the
// status bar tells of it already.

/** @import { Horizon } from "../feed/horizon.js" */
/** @import { Latency } from "../feed/latency.js" */
import { horizonOf, readStats } from "../feed/horizon.js";
import { readObject } from "../../client/v1/json.js";

const PATIENCE_MS = 5_000;

/**
 * @param {string} url
 * @param {Record<string, string>} headers that say who asks
 * @param {Latency} latency is told how the two clocks compare
 * @returns {Promise<Horizon | null>} null when the hub doesn't tell
 */
export async function askStats(url, headers, latency) {
  try {
    const asked = Date.now();
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const response = await fetch(url, { headers, signal, cache: "no-store" });
    const answered = Date.now();
    const answer = readObject(await response.text());
    if (!response.ok || !answer) return null;
    const stats = readStats(answer);
    if (!Number.isNaN(stats.time)) latency.compare(stats.time, asked, answered);
    return answer.history ? horizonOf(stats) : null; // it isn't told to who may not read every topic
  } catch {
    return null;
  }
}
