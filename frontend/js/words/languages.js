// The languages that the page speaks.

/** @import { Words } from "./fr.js" */
import { en } from "./en.js";
import { fr } from "./fr.js";

/** @typedef {"fr" | "en"} Language */

/** @type {Record<Language, Words>} */
export const LANGUAGES = { fr, en };

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
