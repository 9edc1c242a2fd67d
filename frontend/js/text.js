// Text that comes from outside, made honest: what can't be seen, or reorders what is seen, is named.
// The page shows events as text only; this is about text that lies (U+202E turns "gpj.exe" around).

// Allowed as they are: line feed and tab, the joiner inside an emoji sequence, and the selector that
// makes the character before it an emoji. Everything else that is invisible is hidden text.
const HIDDEN =
  /(?![\n\t])(?!(?<=\p{Emoji}\uFE0F?|\p{Emoji_Modifier})\u200D(?=\p{Extended_Pictographic}))(?!(?<=\p{Emoji})[\uFE0E\uFE0F])[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\uFFF9-\uFFFB]/gu;

/** @typedef {{text: string, hidden: boolean}} Segment */

/**
 * Cuts a text into plain parts and escapes, so that the page can set the two apart: a text may
 * itself hold the seven letters "⟨U+0000⟩".
 * @param {string} text
 * @returns {Segment[]} joined, they read like `visible(text)`
 */
export function segments(text) {
  /** @type {Segment[]} */
  const parts = [];
  let start = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match.index > start) parts.push({ text: text.slice(start, match.index), hidden: false });
    parts.push({ text: escape(match[0]), hidden: true });
    start = match.index + match[0].length;
  }
  if (start < text.length) parts.push({ text: text.slice(start), hidden: false });
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
