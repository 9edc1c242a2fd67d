// The newest N things. One counter, from which length and slot derive, so nothing can disagree.

/** @template T */
export class Ring {
  /** @param {number} capacity at least 1 */
  constructor(capacity) {
    this.capacity = capacity;
    /** How many were ever appended. */
    this.written = 0;
    /** @type {T[]} */
    this.slots = [];
  }

  get size() {
    return Math.min(this.written, this.capacity);
  }

  /** Keeps a thing, and forgets the oldest one when full. */
  append(/** @type {T} */ thing) {
    this.slots[this.written % this.capacity] = thing;
    this.written += 1;
  }

  /**
   * @param {number} count at most this many
   * @returns {T[]} newest first
   */
  newest(count) {
    const length = Math.min(count, this.size);
    return Array.from({ length }, (_, age) => this.slots[(this.written - 1 - age) % this.capacity]);
  }
}
