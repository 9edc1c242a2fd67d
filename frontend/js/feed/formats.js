// Numbers and times in words of a language. Pure: the moment to compare with comes in as an argument.

/**
 * The local time of day; with the date when that is another day than now's.
 * @param {number} time milliseconds since 1970
 * @param {number} now milliseconds since 1970
 * @param {string} language
 */
export function localTime(time, now, language) {
  return clock(language, !isSameDay(time, now)).format(time);
}

/** The same with milliseconds. @param {number} time @param {number} now @param {string} language */
export function exactTime(time, now, language) {
  return clock(language, !isSameDay(time, now), "milliseconds").format(time);
}

/** @param {number} time @param {number} now */
function isSameDay(time, now) {
  if (now < today.start || now >= today.end) {
    const start = new Date(now).setHours(0, 0, 0, 0);
    today = { start, end: new Date(start).setHours(24) };
  }
  return time >= today.start && time < today.end;
}

// Kept, as are the formatters below: rows ask for it a thousand times a second.
let today = { start: 0, end: 0 };

/** @param {number | null} value null is a number that nobody knows @param {string} language */
export function wholeNumber(value, language) {
  return value === null ? "–" : numbers(language).format(value);
}

/** A rate as it is shown: with a decimal where it matters. @param {number} value */
export function roundRate(value) {
  return value < 10 ? Math.round(value * 10) / 10 : Math.round(value);
}

/** @param {number} value @param {string} unit @param {string} language */
export function unit(value, unit, language) {
  const format = { style: /** @type {const} */ ("unit"), unit, unitDisplay: /** @type {const} */ ("short") };
  return new Intl.NumberFormat(language, format).format(value);
}

/** The moment in full, local, with zone. @param {number} time @param {string} language @param {0 | 3} [digits] of the second's fraction */
export function fullTime(time, language, digits = 3) {
  return new Intl.DateTimeFormat(language, {
    year: "numeric",
    month: "long",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    ...(digits ? { fractionalSecondDigits: digits } : {}),
    hourCycle: "h23",
    timeZoneName: "short",
  }).format(time);
}

/** Hours and minutes, with the date when that is another day than now's. @param {number} time @param {number} now @param {string} language */
export function shortTime(time, now, language) {
  return clock(language, !isSameDay(time, now), "minutes").format(time);
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

/** @param {string} language @param {boolean} dated @param {"minutes" | "seconds" | "milliseconds"} [upTo] */
function clock(language, dated, upTo = "seconds") {
  const name = `${language} ${dated} ${upTo}`;
  const known = clocks.get(name);
  if (known) return known;
  const made = new Intl.DateTimeFormat(language, {
    ...(dated ? { day: "numeric", month: "short" } : {}),
    hour: "2-digit",
    minute: "2-digit",
    ...(upTo === "minutes" ? {} : { second: "2-digit" }),
    ...(upTo === "milliseconds" ? { fractionalSecondDigits: 3 } : {}),
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
