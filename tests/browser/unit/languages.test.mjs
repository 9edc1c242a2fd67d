import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { exactTime, localTime, rate, secondsUntil, shortTime, wholeNumber } from "../../../frontend/js/feed/formats.js";
import { chooseLanguage, loadWords } from "../../../frontend/js/words/languages.js";

const LANGUAGES = { fr: await loadWords("fr"), en: await loadWords("en") };

/** Every key with the kind of its value: text, or words made from so many values. */
function shape(words, path = "") {
  return Object.entries(words).flatMap(([key, value]) => {
    if (typeof value === "object") return shape(value, `${path}${key}.`);
    return [`${path}${key}: ${typeof value}${typeof value === "function" ? `/${value.length}` : ""}`];
  });
}

test("both languages have the same keys, of the same kinds", () => {
  assert.deepEqual(shape(LANGUAGES.en), shape(LANGUAGES.fr));
});

test("no text is empty", () => {
  for (const words of Object.values(LANGUAGES)) {
    assert.doesNotMatch(JSON.stringify(words), /""/);
  }
});

test("every text that the page names exists, and none is left over", async () => {
  const page = await readFile(new URL("../../../frontend/index.html", import.meta.url), "utf8");
  const named = [...page.matchAll(/data-t(?:-[a-z-]+)?="(\w+)"/g)].map((match) => match[1]);
  assert.deepEqual(
    [...new Set(named)].sort(),
    Object.keys(LANGUAGES.fr.page).sort(),
  );
});

test("French puts a no-break space before its double punctuation", () => {
  const made = [LANGUAGES.fr.pausedAt("x", "12"), LANGUAGES.fr.causes.http(503, "non"), LANGUAGES.fr.pathCopied("a")];
  assert.doesNotMatch(JSON.stringify([LANGUAGES.fr, made]), / [:;!?»]/);
});

test("one, none and many are said as people say them", () => {
  const { en, fr } = LANGUAGES;
  assert.equal(en.gapTitle(1, "1"), "One event is missing here");
  assert.equal(en.gapTitle(null, "–"), "Events may be missing here, an unknown number");
  assert.equal(fr.gapTitle(3, "3"), "Il manque ici 3 événements");
  assert.match(fr.caughtUp(0, true), /rien n’a été manqué/);
  assert.equal(en.caughtUp(0, false), "");
  assert.match(en.causes.http(503, "why"), /^The hub answered 503: why\.$/);
  assert.match(en.causes.proxy(502), /^Not the hub, but a proxy/);
});

test("the first language that the page speaks is chosen, English when there is none", () => {
  assert.equal(chooseLanguage(["de-DE", "fr-CA", "en"]), "fr");
  assert.equal(chooseLanguage(["EN-us", "fr"]), "en");
  assert.equal(chooseLanguage(["de", "fro"]), "en");
  assert.equal(chooseLanguage([]), "en");
});

test("times are local, and dated when they are of another day", () => {
  const now = new Date(2026, 10, 24, 9, 5, 7).getTime();
  assert.equal(localTime(now, now, "fr"), "09:05:07");
  assert.equal(exactTime(now + 42, now, "en"), "09:05:07.042");
  assert.equal(shortTime(now, now, "en"), "09:05");
  assert.match(localTime(now - 86_400_000, now, "en"), /Nov/);
});

test("numbers are grouped, and an unknown one is a dash", () => {
  assert.equal(wholeNumber(1234, "en"), "1,234");
  assert.equal(wholeNumber(null, "fr"), "–");
});

test("a countdown rounds up and ends at zero", () => {
  assert.deepEqual([secondsUntil(2_100, 0), secondsUntil(1, 0), secondsUntil(0, 5)], [3, 1, 0]);
});

test("a rate has a decimal where it matters", () => {
  assert.deepEqual([0, 0.24, 9.96, 5_012.4].map((value) => rate(value, "en")), ["0", "0.2", "10", "5,012"]);
});
