// Which events are on view: by type, source, topic and words. It also has a form in the page's
// address, so that a view can be saved and shared. Pure.

/** @import { Entry, EventEntry } from "./entry.js" */
import { readObject } from "../../client/v1/json.js";

/**
 * `type`, `source` and `topic` are names, or beginnings of names ended by `*` as in the hub's own filters;
 * several are separated by commas, and one of them must fit. `text` holds words that must all occur, in any
 * order; words in quotes stand together, and what a hyphen precedes must not occur. "" asks for nothing.
 * @typedef {{text: string, type: string, source: string, topic: string}} Filter
 */

/** @type {Readonly<Filter>} */
export const EVERYTHING = Object.freeze({ text: "", type: "", source: "", topic: "" });

/** The names in the page's address. */
const PARAMETERS = /** @type {const} */ ({ text: "q", type: "type", source: "source", topic: "topic" });
const FIELDS = /** @type {(keyof Filter)[]} */ (Object.keys(PARAMETERS));
/** Longer than any name, and than any search that makes sense. */
const MOST_CHARACTERS = 300;

/** @param {URLSearchParams} query @returns {Filter} */
export function filterOf(query) {
  const filter = { ...EVERYTHING };
  for (const field of FIELDS) {
    filter[field] = (query.get(PARAMETERS[field]) ?? "").slice(0, MOST_CHARACTERS);
  }
  return filter;
}

/**
 * @param {Filter} filter
 * @param {URLSearchParams} query what else stands in the address stays there
 * @returns {string} with its question mark, "" when nothing is asked for
 */
export function queryOf(filter, query) {
  const next = new URLSearchParams(query);
  for (const field of FIELDS) {
    if (filter[field]) next.set(PARAMETERS[field], filter[field]);
    else next.delete(PARAMETERS[field]);
  }
  return next.size > 0 ? `?${next}` : "";
}

/** @param {Filter} filter */
export function isEverything(filter) {
  return FIELDS.every((field) => filter[field].trim() === "");
}

/** @param {Filter} one @param {Filter} other */
export function sameFilter(one, other) {
  return FIELDS.every((field) => one[field] === other[field]);
}

/** The names in a field. @param {string} text */
export function namesOf(text) {
  return text.split(",").map((name) => name.trim()).filter(Boolean);
}

/**
 * What of a filter the hub's history understands, as parameters; it lets through what the filter does, and more.
 * @param {Filter} filter
 */
export function parametersOf(filter) {
  const parameters = new URLSearchParams();
  for (const topic of namesOf(filter.topic)) parameters.append("topic", topic);
  const types = namesOf(filter.type); // beginnings of types are unknown to the hub
  if (types.every((type) => !type.endsWith("*"))) for (const type of types) parameters.append("type", type);
  return parameters;
}

/**
 * @param {Filter} filter
 * @returns {(entry: Entry) => boolean} a gap is always on view: what is missing may have matched
 */
export function matcherOf(filter) {
  if (isEverything(filter)) return () => true;
  const names = [nameTest("type", filter), nameTest("source", filter), nameTest("topic", filter)];
  const tests = names.filter((test) => test !== null);
  const { wanted, unwanted } = wordsOf(filter.text);
  return (entry) => {
    if (entry.kind !== "event") return entry.kind !== "welcome" || entry.opening;
    if (!tests.every((test) => test(entry))) return false;
    if (wanted.length + unwanted.length === 0) return true;
    const haystack = haystackOf(entry);
    return wanted.every((word) => haystack.includes(word)) && !unwanted.some((word) => haystack.includes(word));
  };
}

/** A word, or several in quotes, with or without a hyphen before; a quote that isn't closed is none. */
const WORDS = /(-?)(?:"([^"]+)"|(\S+))/g;

/** @param {string} text */
function wordsOf(text) {
  /** @type {string[]} */
  const wanted = [];
  /** @type {string[]} */
  const unwanted = [];
  for (const [whole, hyphen, phrase, word] of fold(text).matchAll(WORDS)) {
    const looked = phrase ?? word;
    if (hyphen && looked) unwanted.push(looked);
    else wanted.push(looked || whole);
  }
  return { wanted, unwanted };
}

/**
 * @param {"type" | "source" | "topic"} field
 * @param {Filter} filter
 * @returns {((entry: EventEntry) => boolean) | null}
 */
function nameTest(field, filter) {
  const wanted = namesOf(filter[field]);
  if (wanted.length === 0) return null;
  const names = new Set(wanted.filter((name) => !name.endsWith("*")));
  const starts = wanted.filter((name) => name.endsWith("*")).map((name) => name.slice(0, -1));
  return (entry) => names.has(entry[field]) || starts.some((start) => entry[field].startsWith(start));
}

/** All that words are looked for in; made at the first search and kept. @param {EventEntry} entry */
function haystackOf(entry) {
  entry.haystack ||= fold(
    `${entry.type}\n${entry.topic}\n${entry.source}\n${entry.message}\n${entry.id}\n${dataText(entry.raw)}`,
  );
  return entry.haystack;
}

/** @param {string} raw */
function dataText(raw) {
  if (raw.includes('"data":{}')) return ""; // most have none: spares reading them
  const data = readObject(raw)?.data;
  return data === undefined ? "" : JSON.stringify(data);
}

/** Without case and accents: who types "connecte" finds "Connecté". @param {string} text */
function fold(text) {
  const lower = text.toLowerCase();
  return /^[\0-\x7f]*$/.test(lower) ? lower : lower.normalize("NFD").replace(/\p{M}/gu, "");
}
