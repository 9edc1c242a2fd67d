// Entries as text to take along: JSON, NDJSON, CSV, and the command that publishes an event again.
// Pure. Whoever pastes or opens it must get exactly what was received, and nothing that runs.

/** @import { Entry } from "./entry.js" */
import { readObject } from "../../client/v1/json.js";
import { hiddenCharacters } from "./text.js";

const COLUMNS = ["id", "time", "type", "topic", "source", "count", "message", "data"];

/**
 * An entry as a plain object. A gap is one too: a list with a hole must say so.
 * @param {Entry} entry
 * @returns {Record<string, unknown>}
 */
export function recordOf(entry) {
  const time = new Date(entry.time).toISOString();
  if (entry.kind === "cut") return { type: entry.type, time, missed: entry.missed };
  if (entry.kind !== "event") return { type: entry.type, time, ...readObject(entry.raw) };
  const { id, type, topic, source, count, message } = entry;
  const { data } = readObject(entry.raw) ?? {};
  return { id, time, type, topic, source, ...(count === null ? {} : { count }), message, data };
}

/** @param {Entry} entry */
export function jsonOf(entry) {
  return JSON.stringify(recordOf(entry), null, 2);
}

/** @param {readonly Entry[]} entries */
export function ndjsonOf(entries) {
  return entries.map((entry) => `${JSON.stringify(recordOf(entry))}\n`).join("");
}

/** RFC 4180, with a byte order mark because Excel takes UTF-8 for something else without it. @param {readonly Entry[]} entries */
export function csvOf(entries) {
  const lines = entries.map((entry) => {
    const record = recordOf(entry);
    const message = entry.kind === "event" ? record.message : `${record.reason ?? entry.type}: ${record.missed ?? "?"}`;
    return COLUMNS.map((column) => csvCell(column === "message" ? message : record[column])).join(",");
  });
  return `\uFEFF${[COLUMNS.join(","), ...lines].join("\r\n")}\r\n`;
}

/**
 * A spreadsheet runs a cell that begins like a formula (OWASP, CSV injection): an apostrophe makes it text.
 * @param {unknown} value
 */
function csvCell(value) {
  if (typeof value === "number") return String(value);
  const text = typeof value === "object" ? JSON.stringify(value) : String(value ?? "");
  const safe = /^\s*[=+\-@\t\r\n|%]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/**
 * The command that publishes an event, for a POSIX shell, in lines that are easy to read.
 * @param {{type: string, message: string, topic?: string, data?: unknown}} event
 * @param {string} url of the hub's notify route
 */
export function curlOf({ type, message, topic, data }, url) {
  const body = JSON.stringify({ type, message, topic, data });
  const header = shellQuote("Content-Type: application/json");
  return `curl -X POST ${shellQuote(url)} \\\n  -H ${header} \\\n  -d ${shellQuote(escapeHidden(body))}`;
}

/** Single quotes keep everything but themselves. @param {string} text */
function shellQuote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Inside JSON's strings \u says the same: a terminal must not be shown text that hides itself. @param {string} json */
function escapeHidden(json) {
  return json.replace(hiddenCharacters(), (character) =>
    Array.from({ length: character.length }, (_, i) => {
      return `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`;
    }).join(""),
  );
}

/** What publishes an entry again. @param {Entry} entry */
export function draftOf(entry) {
  if (entry.kind !== "event") return null;
  const { data } = readObject(entry.raw) ?? {};
  return { type: entry.type, message: entry.message, topic: entry.topic, data };
}
