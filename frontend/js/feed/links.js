// Addresses in a text that may become links: http and https alone, and nothing that only looks like one. Pure.

/** @typedef {{text: string, href: string}} Part `href` is "" for plain text */

const ADDRESS = /\bhttps?:\/\/[^\s<>"'\x60{}|\\^]+/gi;
/** What ends a sentence or closes a bracket is seldom of the address. */
const TAIL = /[.,;:!?)\]»…]+$/u;
const MOST_LINKS = 50;

/** @param {string} text @returns {Part[]} joined, they read like `text` */
export function linkParts(text) {
  /** @type {Part[]} */
  const parts = [];
  let start = 0;
  for (const match of text.matchAll(ADDRESS)) {
    if (parts.length >= 2 * MOST_LINKS) break;
    const found = match[0].replace(TAIL, "");
    const href = hrefOf(found);
    if (href === "") continue;
    if (match.index > start) parts.push({ text: text.slice(start, match.index), href: "" });
    parts.push({ text: found, href });
    start = match.index + found.length;
  }
  if (start < text.length) parts.push({ text: text.slice(start), href: "" });
  return parts;
}

/** The address as the browser understands it: its host in ASCII, whatever letters were written. @param {string} text */
function hrefOf(text) {
  try {
    const { protocol, href, hostname } = new URL(text);
    return /^https?:$/.test(protocol) && hostname !== "" ? href : "";
  } catch {
    return "";
  }
}
