// What a tab remembers over a reload: its place in the log. Storage may be forbidden; then a reloaded
// tab is simply a new one.

/** @import { Place } from "./bookmark.js" */
import { readObject } from "./json.js";

/** @param {string} url of the stream @returns {Place} */
export function recallPlace(url) {
  const { first, last } = readObject(stored(url)) ?? {};
  const isPlace = typeof first === "string" && typeof last === "string";
  return isPlace ? { first, last } : { first: "", last: "" };
}

/** @param {string} url @param {Place} place */
export function rememberPlace(url, place) {
  try {
    sessionStorage.setItem(keyOf(url), JSON.stringify(place));
  } catch {
    // See above.
  }
}

/** @param {string} url */
function stored(url) {
  try {
    return sessionStorage.getItem(keyOf(url)) ?? "";
  } catch {
    return "";
  }
}

/** @param {string} url */
function keyOf(url) {
  return `tocsin.place ${url}`;
}
