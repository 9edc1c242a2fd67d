// The languages that the page speaks. A page loads the one it shows first, and the other one later.

/** @import { Words } from "./fr.js" */
import { recall } from "../preferences.js";

/** @typedef {"fr" | "en"} Language */

/** @type {Map<Language, Words>} */
const loaded = new Map();

/**
 * The first language of a list that the page speaks; English for a reader of neither.
 * @param {readonly string[]} wanted language tags, best first, as in `navigator.languages`
 * @returns {Language}
 */
export function chooseLanguage(wanted) {
  for (const tag of wanted) {
    const language = tag.toLowerCase().split("-")[0];
    if (language === "fr" || language === "en") return language;
  }
  return "en";
}

/** @param {Language} language @returns {Promise<Words>} */
export async function loadWords(language) {
  const known = loaded.get(language);
  if (known) return known;
  const words = language === "fr" ? (await import("./fr.js")).fr : (await import("./en.js")).en;
  loaded.set(language, words);
  return words;
}

export const firstLanguage = chooseLanguage([recall("language") ?? "", ...(globalThis.navigator?.languages ?? [])]);

// Asked for as soon as this module is there, which the page loads before the rest.
export const firstWords = loadWords(firstLanguage);
