// What a tab remembers over a reload: its place in the log. Storage may be forbidden; then a reloaded
// tab is simply a new one.

/** @import { Place } from "./bookmark.js" */
import { readObject } from "./json.js";

/** @param {string} key "" for a tab that remembers nothing @returns {Place} */
export function recallPlace(key) {
  const { first, last } = readObject(stored(key)) ?? {};
  const isPlace = typeof first === "string" && typeof last === "string";
  return isPlace ? { first, last } : { first: "", last: "" };
}

/** @param {string} key @param {Place} place */
export function rememberPlace(key, place) {
  if (!key) return;
  try {
    sessionStorage.setItem(key, JSON.stringify(place));
  } catch {
    // See above.
  }
}

/** @param {string} key */
function stored(key) {
  if (!key) return "";
  try {
    return sessionStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
}
