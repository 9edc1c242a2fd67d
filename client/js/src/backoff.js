// How long to wait before the next try. Pure: the random number comes in as an argument.

export const LEAST_MS = 1_000;
export const MOST_MS = 30_000;
/** The longest wait that anybody can ask for. A timer of 25 days overflows, and fires at once. */
export const LONGEST_MS = 3_600_000;

/**
 * The delay before a try, in milliseconds.
 *
 * It doubles from the reconnection time that the hub asked for (or one second) up to 30 seconds,
 * and is never shorter than what the hub asked for, up to an hour. The jitter keeps the pages that
 * lost the same hub at the same moment from all coming back at the same moment.
 *
 * @param {number} attempt 1 for the first try after a loss
 * @param {number | null} retryMs the stream's last `retry:`, null when it never sent one
 * @param {number} random from 0 up to 1
 */
export function delayBefore(attempt, retryMs, random) {
  const floor = Math.min(LONGEST_MS, Math.max(LEAST_MS, retryMs ?? LEAST_MS));
  const most = Math.max(floor, MOST_MS);
  const high = Math.min(most, floor * 1.5 * 2 ** (attempt - 1));
  const low = Math.max(floor, (high * 2) / 3);
  return Math.round(low + random * (high - low));
}

/**
 * Reads a `Retry-After` header (RFC 9110, section 10.2.3) as milliseconds from now.
 * @param {string | null} header seconds or an HTTP date
 * @param {number} now milliseconds since 1970
 * @returns {number | null} null when it is absent or means nothing
 */
export function retryAfterMs(header, now) {
  if (header === null) return null;
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1_000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}
