// Text that comes from outside, made honest: what can't be seen, or reorders what is seen, is named.
// The page shows events as text only; this is about text that lies (U+202E turns "gpj.exe" around).

// Allowed as they are: line feed and tab, the joiner inside an emoji sequence, and the selector that
// makes the character before it an emoji. Everything else that is invisible is hidden text.
const HIDDEN =
  /(?![\n\t])(?!(?<=\p{Emoji}\uFE0F?|\p{Emoji_Modifier})\u200D(?=\p{Extended_Pictographic}))(?!(?<=\p{Emoji})[\uFE0E\uFE0F])[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\uFFF9-\uFFFB]/gu;

// Most texts hold none, and are told so ten times faster by looking for these only.
const PLAIN = /^[\t\n\x20-\x7e\xa0-\xac\xae-\u02ff\u1e00-\u1fff]*$/;

/** @typedef {{text: string, hidden: boolean}} Segment */

/** Matches each of them, with the flags of a search for all. */
export function hiddenCharacters() {
  return new RegExp(HIDDEN);
}

/** @param {string} text */
export function isPlain(text) {
  return PLAIN.test(text);
}

/** The beginning of a text, cut between two characters. @param {string} text @param {number} most UTF-16 units */
export function beginning(text, most) {
  if (text.length <= most) return text;
  return `${text.slice(0, most).replace(/[\uD800-\uDBFF]$/, "")}…`;
}

/**
 * Cuts a text into plain parts and escapes, so that the page can set the two apart: a text may
 * itself hold the eight letters "⟨U+0000⟩". Escapes side by side are one part.
 * @param {string} text
 * @param {number} [most] escapes set apart; the rest is escaped too, but in one part, so that a text
 *   of nothing else doesn't make thousands of elements
 * @returns {Segment[]} joined, they read like `visible(text)`
 */
export function segments(text, most = Infinity) {
  if (isPlain(text)) return text === "" ? [] : [{ text, hidden: false }];
  /** @type {Segment[]} */
  const parts = [];
  let start = 0;
  let marks = 0;
  for (const match of text.matchAll(HIDDEN)) {
    const adjacent = match.index === start && parts.at(-1)?.hidden;
    if (!adjacent && (marks += 1) > most) break;
    if (match.index > start) parts.push({ text: text.slice(start, match.index), hidden: false });
    if (adjacent) parts[parts.length - 1].text += escape(match[0]);
    else parts.push({ text: escape(match[0]), hidden: true });
    start = match.index + match[0].length;
  }
  if (start < text.length) parts.push({ text: text.slice(start).replace(HIDDEN, escape), hidden: false });
  return parts;
}

/** @param {string} text */
export function visible(text) {
  return segments(text)
    .map((part) => part.text)
    .join("");
}

/** @param {string} character one code point, or a lone surrogate */
function escape(character) {
  const code = /** @type {number} */ (character.codePointAt(0));
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}
