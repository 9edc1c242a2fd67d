// Delivery latency: from an event's acceptance by the hub to its arrival in this page. The two have a
// clock each, so their difference is measured: GET /api/stats tells the hub's time, which lies
// somewhere between the sending of the question and the arrival of the answer. Half of that way is the
// most by which the figure may be wrong, and is shown with it.

/** How many deliveries the median is taken of. */
const SAMPLES = 99;
/** Clocks drift: an old comparison gives way to a new one, even to one that is less exact. */
const COMPARISON_LASTS_MS = 5 * 60_000;
/** Timestamps are whole milliseconds. */
const RESOLUTION_MS = 1;

/** @typedef {{ahead: number, error: number, at: number}} Comparison the hub's clock less this one's, ms */

export class Latency {
  constructor() {
    /** @type {number[]} arrival here less acceptance there, by two clocks, in ms */
    this.samples = [];
    this.taken = 0;
    /** @type {Comparison | null} */
    this.clock = null;
  }

  /** @param {number} accepted by the hub's clock @param {number} arrived by this one's */
  add(accepted, arrived) {
    this.samples[this.taken % SAMPLES] = arrived - accepted;
    this.taken += 1;
  }

  /** What came before says nothing about a new stream. */
  forget() {
    this.samples = [];
    this.taken = 0;
  }

  /** @param {number} hubTime @param {number} asked @param {number} answered by this page's clock */
  compare(hubTime, asked, answered) {
    const error = (answered - asked) / 2 + RESOLUTION_MS;
    const old = this.clock;
    if (old && old.error <= error && answered - old.at < COMPARISON_LASTS_MS) return;
    this.clock = { ahead: hubTime - (asked + answered) / 2, error, at: answered };
  }

  /** @returns {{ms: number, error: number} | null} the median; null until both sides are known */
  read() {
    if (!this.clock || this.samples.length === 0) return null;
    const sorted = this.samples.toSorted((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)] + this.clock.ahead;
    return { ms: Math.max(0, median), error: this.clock.error };
  }
}
