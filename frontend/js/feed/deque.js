// A line of things: appended at one end, let go at the other. Things have numbers, which never change:
// `first` is the oldest one's, `end` the next one's; the size and the slot derive from them. What is put
// before the oldest one gets lower numbers, also below 0.

/** @template T */
export class Deque {
  /** @param {T[]} [things] oldest first; the deque keeps this array */
  constructor(things = []) {
    this.slots = things;
    /** The number of what is in slot 0. */
    this.base = 0;
    this.first = 0;
  }

  get end() {
    return this.base + this.slots.length;
  }

  get size() {
    return this.end - this.first;
  }

  /** @param {T} thing */
  append(thing) {
    this.slots.push(thing);
  }

  /** Puts things before the oldest one. @param {readonly T[]} things oldest first */
  prepend(things) {
    this.slots = [...things, ...this.toArray()];
    this.first -= things.length;
    this.base = this.first;
  }

  /** @param {number} number from `first` up to, not with, `end` */
  at(number) {
    return this.slots[number - this.base];
  }

  /** Lets the oldest thing go. @returns {T} */
  shift() {
    const slot = this.first - this.base;
    const thing = this.slots[slot];
    this.first += 1;
    // Moving the rest down each time would make a full line slow: half of it is moved at once.
    if (slot >= 1_024 && slot * 2 >= this.slots.length) {
      this.slots = this.slots.slice(slot + 1);
      this.base = this.first;
    }
    return thing;
  }

  /** @returns {T[]} oldest first */
  toArray() {
    return this.slots.slice(this.first - this.base);
  }
}
