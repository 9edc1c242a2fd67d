// Numbers and times in words of a language. Pure: the moment to compare with comes in as an argument.

/**
 * The local time of day; with the date when that is another day than now's.
 * @param {number} time milliseconds since 1970
 * @param {number} now milliseconds since 1970
 * @param {string} language
 */
export function localTime(time, now, language) {
  const sameDay = new Date(time).toDateString() === new Date(now).toDateString();
  return clock(language, !sameDay).format(time);
}

/** @param {number | null} value null is a number that nobody knows @param {string} language */
export function wholeNumber(value, language) {
  return value === null ? "–" : numbers(language).format(value);
}

/** Whole seconds left until a moment, never below 0. @param {number} at @param {number} now */
export function secondsUntil(at, now) {
  return Math.max(0, Math.ceil((at - now) / 1_000));
}

// Building a formatter costs far more than using it, and a burst formats thousands of times.
/** @type {Map<string, Intl.DateTimeFormat>} */
const clocks = new Map();
/** @type {Map<string, Intl.NumberFormat>} */
const numberFormats = new Map();

/** @param {string} language @param {boolean} dated */
function clock(language, dated) {
  const name = `${language} ${dated}`;
  const known = clocks.get(name);
  if (known) return known;
  /** @type {Intl.DateTimeFormatOptions} */
  const day = dated ? { day: "numeric", month: "short" } : {};
  const made = new Intl.DateTimeFormat(language, {
    ...day,
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  });
  clocks.set(name, made);
  return made;
}

/** @param {string} language */
function numbers(language) {
  const made = numberFormats.get(language) ?? new Intl.NumberFormat(language);
  numberFormats.set(language, made);
  return made;
}
