import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { exactTime, localTime, roundRate, secondsUntil, shortTime, wholeNumber } from "../../../frontend/js/feed/formats.js";
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
    assert.doesNotMatch(JSON.stringify(words), /(?<!\\)""/);
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

test("what is counted agrees with its number, and French takes 0 and 1.5 for singular", () => {
  const { en, fr } = LANGUAGES;
  const counts = [0, 1, 1.5, 2];
  assert.deepEqual(counts.map(en.rateWord), ["events/s", "event/s", "events/s", "events/s"]);
  assert.deepEqual(counts.map(fr.rateWord), ["événement/s", "événement/s", "événement/s", "événements/s"]);
  assert.deepEqual([0, 1, 2].map(fr.receivedWord), ["reçu", "reçu", "reçus"]);
  assert.deepEqual([0, 1, 2].map(en.clientsWord), ["clients", "client", "clients"]);
  assert.deepEqual([0, 1, 2].map(fr.clientsWord), ["client", "client", "clients"]);
  assert.deepEqual([0, 1, 2].map((n) => en.matching(n, String(n), "9")), ["0 of 9 match", "1 of 9 matches", "2 of 9 match"]);
  assert.match(fr.matching(0, "0", "9"), /^0 sur 9 correspond$/);
  assert.match(fr.matching(2, "2", "9"), /correspondent$/);
  assert.deepEqual([0, 1, 2].map((n) => fr.keptWord(n, "9", "")), ["sur 9 gardé", "sur 9 gardé", "sur 9 gardés"]);
  assert.deepEqual([en.keptWord(null, "", ""), en.keptWord(1, "9", "17:02")], ["kept", "of 9 kept, since 17:02"]);
  assert.deepEqual([1, 2].map((n) => en.onView(n, String(n))), ["1 event", "2 events"]);
  assert.deepEqual([1, 2].map((n) => fr.gapsKnown(n)), ["1 lacune", "2 lacunes"]);
  assert.deepEqual([1, 2].map((n) => en.pill(n, String(n), 0)), ["1 new", "2 new"]);
  assert.deepEqual([1, 2].map((n) => en.pill(0, "0", n)), ["1 new gap", "2 new gaps"]);
  assert.deepEqual([1, 2].map((n) => fr.pill(n, String(n), 1)), ["1 nouveau, avec une lacune", "2 nouveaux, avec une lacune"]);
  assert.deepEqual([1, 2].map((n) => fr.pill(0, "0", n)), ["1 nouvelle lacune", "2 nouvelles lacunes"]);
  assert.match(en.past.cut(1, "1"), /^1 event is left out/);
  assert.match(fr.past.cut(2, "2"), /^2 événements sont omis/);
  assert.match(en.simulated(1, "1 sec"), /every second,/);
  assert.match(fr.simulated(8, "8 s"), /toutes les 8 s,/);
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
  assert.deepEqual([0, 0.24, 0.96, 9.96, 5_012.4].map(roundRate), [0, 0.2, 1, 10, 5_012]);
});
