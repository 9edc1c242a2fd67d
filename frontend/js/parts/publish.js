// Publishing one event, and what came of it. It knows the hub's API and no document.

/** @import { Words } from "../words/fr.js" */
import { countOf, readObject } from "../../client/v1/json.js";

/** @typedef {{type: string, message: string, topic: string, data?: Record<string, unknown>}} Draft */
/** @typedef {{ok: true, sentTo: number} | {ok: false, status: number, error: string, field: string}} Outcome */

const PATIENCE_MS = 10_000;

/**
 * @param {string} url
 * @param {Draft} event
 * @param {Record<string, string>} headers that say who publishes
 * @returns {Promise<Outcome>} status 0 when the hub can't be reached or doesn't answer
 */
export async function publish(url, event, headers) {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: JSON.stringify(event),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const answer = readObject(await response.text()) ?? {};
    if (response.ok) return { ok: true, sentTo: countOf(answer.sentTo) ?? 0 };
    const error = typeof answer.error === "string" ? answer.error : "";
    return { ok: false, status: response.status, error, field: String(answer.field ?? "") };
  } catch {
    return { ok: false, status: 0, error: "", field: "" };
  }
}

/** What a refusal is called on the page. @param {number} status @param {string} error @param {Words} words */
export function refusalText(status, error, words) {
  if (status === 0) return words.errors.unreachable;
  return words.errors.refused(error || words.errors.status(status));
}
