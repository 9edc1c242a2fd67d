// Events per second over the last minute, counted as they arrive.

export const SECONDS = 60;
/** The figure is the mean of so many whole seconds: steady enough to be read. */
const MEAN_OVER = 5;

export class Pace {
  /** @param {number} now milliseconds since 1970 */
  constructor(now) {
    /** One count a second, in the slot of its second; the present one is still growing. */
    this.counts = new Array(SECONDS + 1).fill(0);
    this.second = Math.floor(now / 1_000);
    this.firstSecond = this.second;
  }

  /** @param {number} count @param {number} now milliseconds since 1970 */
  add(count, now) {
    this.moveTo(now);
    this.counts[this.second % this.counts.length] += count;
  }

  /** Whole seconds only, oldest first. @param {number} now @returns {number[]} */
  lastMinute(now) {
    this.moveTo(now);
    const slots = this.counts.length;
    return Array.from({ length: SECONDS }, (_, i) => this.counts[(this.second + 1 + i) % slots]);
  }

  /** @param {number} now @returns {number | null} null in the first second: there is nothing to say yet */
  perSecond(now) {
    const minute = this.lastMinute(now);
    const seconds = Math.min(MEAN_OVER, this.second - this.firstSecond);
    if (seconds === 0) return null;
    return minute.slice(-seconds).reduce((sum, count) => sum + count, 0) / seconds;
  }

  /** Empties the seconds that passed; a clock that was set back stands still here. @param {number} now */
  moveTo(now) {
    const second = Math.floor(now / 1_000);
    const slots = this.counts.length;
    for (let passed = Math.min(second - this.second, slots); passed > 0; passed -= 1) {
      this.counts[(second - passed + 1) % slots] = 0;
    }
    this.second = Math.max(this.second, second);
  }
}
