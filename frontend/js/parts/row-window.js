// The rows that exist: a window over the entries on view. When it moves, rows that leave it on one side
// enter it on the other; so the document holds a fixed number of them, always in reading order.

/** @import { View } from "../view.js" */
/** @import { Row } from "./row.js" */
import { setAttribute } from "./dom.js";
import { makeRow } from "./row.js";

/** Enough for a screen of 2,000 px in compact rows; six elements each. */
export const MOST_ROWS = 72;

/** One new row may be seen to come in; in a burst that would be flicker. */
const MOST_SHOWN_COMING = 2;

export class RowWindow {
  /** @param {HTMLElement} list */
  constructor(list) {
    this.list = list;
    /** @type {Row[]} as they stand in the document */
    this.rows = [];
    this.made = 0;
    /** The rank, from the newest, of the first row's entry. */
    this.first = 0;
    /** What the rows' entries are numbered by: the newest row's number, and in which list. */
    this.newest = 0;
    this.generation = -1;
    this.language = "";
  }

  /**
   * Shows the entries from rank `first` on.
   * @param {number} first
   * @param {number} count
   * @param {View} view
   */
  show(first, count, view) {
    const { reading } = view;
    this.resize(Math.min(count, MOST_ROWS));
    const newest = reading.list.end - 1 - first;
    const known = this.generation === reading.generation && this.language === view.language;
    if (known) this.rotate(newest - this.newest);
    this.rows.forEach((row, i) => {
      const entry = reading.at(first + i);
      if (!known || row.entry !== entry) row.show(entry, view);
      setAttribute(row.element, "aria-posinset", String(first + i + 1));
      setAttribute(row.element, "aria-setsize", String(reading.size));
    });
    this.first = first;
    this.newest = newest;
    this.generation = reading.generation;
    this.language = view.language;
  }

  /** @param {number} count */
  resize(count) {
    while (this.rows.length > count) this.rows.pop()?.element.remove();
    while (this.rows.length < count) {
      const row = makeRow((this.made += 1));
      this.rows.push(row);
      this.list.append(row.element);
    }
  }

  /** Moves the rows that the window leaves behind to its other end. @param {number} up by how many entries */
  rotate(up) {
    if (Math.abs(up) >= this.rows.length) return; // all are new: none needs to move
    this.list.classList.toggle("calm", up > 0 && up <= MOST_SHOWN_COMING);
    if (up > 0) {
      const moved = this.rows.splice(-up);
      this.list.prepend(...moved.map((row) => row.element));
      this.rows.unshift(...moved);
    } else if (up < 0) {
      const moved = this.rows.splice(0, -up);
      this.list.append(...moved.map((row) => row.element));
      this.rows.push(...moved);
    }
  }

  /** The row that shows an entry's rank, if there is one. @param {number} rank @returns {Row | undefined} */
  rowAt(rank) {
    return this.rows[rank - this.first];
  }

  /** One row is reached by Tab; the keys of the feed go on from there. @param {number} rank */
  setTabStop(rank) {
    const stop = this.rowOf(document.activeElement) ?? this.rowAt(rank) ?? this.rows[0];
    for (const row of this.rows) setAttribute(row.element, "tabindex", row === stop ? "0" : "-1");
  }

  /** @param {Element | null} element inside of a row, or not */
  rowOf(element) {
    return this.rows.find((row) => row.element.contains(element));
  }

  /** @param {Element | null} element @returns {number} the rank of the row around it, -1 for none */
  rankOf(element) {
    const place = this.rows.findIndex((row) => row.element.contains(element));
    return place < 0 ? -1 : this.first + place;
  }
}
