// Which events are on view: by type, source, topic and words. It also has a form in the page's
// address, so that a view can be saved and shared. Pure.

/** @import { Entry, EventEntry } from "./entry.js" */
import { readObject } from "../../client/v1/json.js";

/**
 * `type`, `source` and `topic` are names, or beginnings of names ended by `*` as in the hub's own
 * filters; `text` holds words that must all occur, in any order. "" asks for nothing.
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

/**
 * @param {Filter} filter
 * @returns {(entry: Entry) => boolean} a gap is always on view: what is missing may have matched
 */
export function matcherOf(filter) {
  if (isEverything(filter)) return () => true;
  const names = [nameTest("type", filter), nameTest("source", filter), nameTest("topic", filter)];
  const tests = names.filter((test) => test !== null);
  const words = fold(filter.text).split(/\s+/).filter(Boolean);
  return (entry) => {
    if (entry.kind !== "event") return entry.kind === "gap";
    return (
      tests.every((test) => test(entry)) &&
      (words.length === 0 || words.every((word) => haystackOf(entry).includes(word)))
    );
  };
}

/**
 * @param {"type" | "source" | "topic"} field
 * @param {Filter} filter
 * @returns {((entry: EventEntry) => boolean) | null}
 */
function nameTest(field, filter) {
  const wanted = filter[field].trim();
  if (wanted === "") return null;
  if (!wanted.endsWith("*")) return (entry) => entry[field] === wanted;
  const start = wanted.slice(0, -1);
  return (entry) => entry[field].startsWith(start);
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
