// What the person chose, kept in this browser. Storage may be forbidden or full: then the choice
// simply lasts as long as the page.

import { readObject } from "../client/v1/json.js";

/** @param {string} name @returns {string | null} */
export function recall(name) {
  try {
    return localStorage.getItem(`tocsin.${name}`);
  } catch {
    return null;
  }
}

/** @param {string} name @param {string} value */
export function remember(name, value) {
  try {
    localStorage.setItem(`tocsin.${name}`, value);
  } catch {
    // See above: nothing is lost but the next visit's choice.
  }
}

/** @param {string} name @returns {Record<string, unknown> | null} */
export function recallObject(name) {
  return readObject(recall(name) ?? "");
}
