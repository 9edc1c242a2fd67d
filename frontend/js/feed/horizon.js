// The history's horizon: how long a client may be away and still miss nothing, from GET /api/stats.

/**
 * @typedef {object} Stats what is used of the hub's answer
 * @property {number} time the hub's clock, milliseconds since 1970
 * @property {number} oldest when the oldest event that it keeps was published, NaN for none
 * @property {number} events
 * @property {number} bytes
 * @property {number} limitEvents
 * @property {number} limitBytes
 * @property {number} limitAge seconds; 0 is no limit
 * @property {number} rate events published a second, of late
 */

/**
 * `measured`: the history is full, so its oldest event tells. `expected`: it isn't yet; so long it
 * would last at the present rate. `all`: nothing has had to go, and at present nothing comes.
 * @typedef {{kind: "measured" | "expected", seconds: number} | {kind: "all"}} Horizon
 */

/** A history this close to a limit drops events with each new one. */
const FULL = 0.98;

/** @param {Record<string, unknown>} answer @returns {Stats} */
export function readStats(answer) {
  const history = objectOf(answer.history);
  return {
    time: Date.parse(String(answer.time)),
    oldest: typeof answer.oldestTime === "number" ? answer.oldestTime * 1_000 : Number.NaN,
    events: Number(history.events),
    bytes: Number(history.bytes),
    limitEvents: Number(history.limitEvents),
    limitBytes: Number(history.limitBytes),
    limitAge: Number(history.limitAge),
    rate: Number(objectOf(answer.rates).published),
  };
}

/** @param {Stats} stats @returns {Horizon} */
export function horizonOf(stats) {
  const { events, bytes, limitEvents, limitBytes, limitAge, rate } = stats;
  const full = events >= limitEvents * FULL || bytes >= limitBytes * FULL;
  const age = (stats.time - stats.oldest) / 1_000;
  if (full && age >= 0) return { kind: "measured", seconds: age };
  const byAge = limitAge > 0 ? limitAge : Infinity;
  const bySize = events > 0 ? (limitBytes / (bytes / events)) / rate : Infinity;
  const seconds = Math.min(byAge, limitEvents / rate, bySize);
  return Number.isFinite(seconds) ? { kind: "expected", seconds } : { kind: "all" };
}

/** @param {unknown} value @returns {Record<string, unknown>} */
function objectOf(value) {
  return /** @type {Record<string, unknown>} */ (value ?? {});
}
