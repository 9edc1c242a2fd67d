// What the hub says of itself, from GET /api/stats. What it doesn't tell, as to who may not read every topic, is null.

/**
 * @typedef {object} HubFacts
 * @property {number} time the hub's clock, milliseconds since 1970; NaN if it isn't told
 * @property {string} version
 * @property {number} startedAt milliseconds since 1970, by the hub's clock
 * @property {string} journal what keeps the history: "memory", "sqlite", "redis"
 * @property {number} simulate seconds between two events that it invents, 0 for none
 * @property {string} node this hub's name among others, "" for none
 * @property {{events: number, limit: number, since: number | null} | null} history how many events are kept, of how
 *   many at most, and when the oldest was published
 */

/** @param {Record<string, unknown>} answer @returns {HubFacts} */
export function readFacts(answer) {
  const time = Date.parse(String(answer.time));
  const { events, limitEvents } = /** @type {Record<string, unknown>} */ (answer.history ?? {});
  const since = typeof answer.oldestTime === "number" ? answer.oldestTime * 1_000 : null;
  return {
    time,
    version: textOf(answer.version),
    startedAt: time - Number(answer.uptime) * 1_000,
    journal: textOf(answer.journal),
    simulate: typeof answer.simulate === "number" ? answer.simulate : 0,
    node: textOf(answer.node),
    history:
      typeof events === "number" && typeof limitEvents === "number" ? { events, limit: limitEvents, since } : null,
  };
}

/** @param {unknown} value */
function textOf(value) {
  return typeof value === "string" ? value : "";
}
