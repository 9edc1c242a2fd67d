// The page: wires the stream to the feed and the feed to the components, and says when to paint.

/** @import { Rights } from "./access.js" */
/** @import { Entry } from "./feed/entry.js" */
/** @import { Filter } from "./feed/filter.js" */
/** @import { HubFacts } from "./feed/hub-facts.js" */
/** @import { Batch, LinkState } from "../client/v1/protocol.js" */
/** @import { Component, View } from "./view.js" */
/** @import { Language } from "./words/languages.js" */
import { askRights, headersOf, keepKey, recallKey } from "./access.js";
import { Arrivals } from "./feed/arrivals.js";
import { csvOf, ndjsonOf } from "./feed/export.js";
import { Feed } from "./feed/feed.js";
import { EVERYTHING, filterOf, queryOf, sameFilter } from "./feed/filter.js";
import { Latency } from "./feed/latency.js";
import { Notices } from "./feed/notices.js";
import { Pace } from "./feed/pace.js";
import { Past } from "./feed/past.js";
import { Reading } from "./feed/reading.js";
import { mountAccess } from "./parts/access.js";
import { mountAnnouncer } from "./parts/announcer.js";
import { copyText } from "./parts/clipboard.js";
import { DesktopNotices } from "./parts/desktop.js";
import { mountDetail } from "./parts/detail.js";
import { mountLater } from "./parts/dialogs.js";
import { find, setText, translate } from "./parts/dom.js";
import { download, fileName } from "./parts/download.js";
import { mountFeedEnd } from "./parts/feed-end.js";
import { mountFeed } from "./parts/feed-list.js";
import { mountFilterBar } from "./parts/filter-bar.js";
import { mountForm } from "./parts/form.js";
import { mountHelp } from "./parts/help.js";
import { mountMenu } from "./parts/menu.js";
import { mountNumbers } from "./parts/numbers.js";
import { mountPlaceholder } from "./parts/placeholder.js";
import { publish, refusalText } from "./parts/publish.js";
import { mountShortcuts } from "./parts/shortcuts.js";
import { askFacts } from "./parts/stats.js";
import { lookOf } from "./parts/status-text.js";
import { mountStatus } from "./parts/status.js";
import { THEMES, mountDensity, mountSwitches, themeAfter } from "./parts/switches.js";
import { mountToasts } from "./parts/toasts.js";
import { mountUnseen } from "./parts/unseen.js";
import { PastLoader } from "./past-loader.js";
import { recall, recallObject, remember } from "./preferences.js";
import { NO_STATE, openLink } from "../client/v1/tocsin.js";
import { firstLanguage, firstWords, loadWords } from "./words/languages.js";

/** Countdown, toasts and announcements move with the clock, not with events. */
const TICK_MS = 250;
/** When the words of the other language are loaded: what is needed at once comes first. */
const OTHER_WORDS_MS = 10_000;
/** How often the hub is asked for its clock and its history, while somebody looks. */
const FACTS_EVERY_MS = 15_000;
/** How many events the page opens with; `last=N` in its address says another number, and 0 none. */
const OPENING = 200;
/** Nobody wants the hub asked for each letter that is typed into the search. */
const SETTLED_MS = 400;

const asked = new URLSearchParams(location.search);
const opening = openingOf(asked.get("last"));
const key = recallKey();
const headers = headersOf(key);
const feed = new Feed();
const past = new Past();
const reading = new Reading(feed, past);
const pace = new Pace(Date.now());
const latency = new Latency();
const notices = new Notices(matchMedia("(width < 60rem)").matches ? 1 : 3);
const arrivals = new Arrivals({ feed, reading, pace, latency });
const loader = new PastLoader({ feed, reading, past, url: address("api/history"), headers, onPage: takePage });
const unseen = mountUnseen();
const desktop = new DesktopNotices(recalledRule());
/** @type {LinkState} */
let stream = { ...NO_STATE, since: Date.now() };
/** @type {HubFacts | null} */
let facts = null;
/** @type {Rights | null} */
let rights = null;
let askedFactsAt = -Infinity;
let language = firstLanguage;
let words = await firstWords;
let theme = THEMES.find((name) => name === recall("theme")) ?? "auto";
let density = recall("density") === "compact" ? /** @type {const} */ ("compact") : /** @type {const} */ ("comfortable");
let toastsOn = recall("toasts") !== "off";
let keysOn = recall("keys") !== "off";
let paused = false;
let scheduled = false;
/** @type {Filter | null} set once a frame, however fast somebody types */
let nextFilter = filterOf(asked);
/** The event that the address asks for, until it is shown. */
let wantedEvent = asked.get("event") ?? "";
let isFilled = false;
let fillTimer = 0;
/** @type {Language | undefined} */
let translatedTo;

// Relative addresses, so that the page also works under a prefix behind a proxy.
const eventsUrl = address(`events?presence=1${opening > 0 ? `&last=${opening}` : ""}`);
const link = openLink({ url: eventsUrl, headers, onBatch: take, onState: setState });
const detail = mountDetail(find(document, "#detail"), address("api/notify"), {
  beside,
  more: () => loader.more(),
  only: (field, name) => setFilter({ ...reading.filter, [field]: name }),
  addressOf: (id) => addressWith(id),
  keysOn: () => keysOn,
  shown: (id) => history.replaceState(null, "", addressWith(id)),
});
const list = mountFeed(find(document, ".feed"), { open, repaint: schedule, nearEnd: () => past.state === "idle" && loader.more() });
const filterBar = mountFilterBar(find(document, ".feed"), { setFilter, pause, follow, toGap: list.toGap });
const access = mountLater(find(document, "#access"), (dialog) =>
  mountAccess(dialog, { hasKey: () => key !== "", use: useKey }),
);
const help = mountLater(find(document, "#help"), (dialog) =>
  mountHelp(dialog, {
    keysOn: () => keysOn,
    setKeysOn,
    links: { docs: address("docs"), api: address("openapi.json"), metrics: address("metrics") },
  }),
);

/** @type {Component[]} */
const components = [
  mountDensity(find(document, "[data-act=density]"), toggleDensity), // first: it changes how high rows are
  list, // then: it measures, which is cheap as long as nothing has changed
  filterBar,
  mountPlaceholder(find(document, ".empty"), address("api/notify"), { sendTest }),
  mountFeedEnd(find(document, ".feed-end"), () => loader.more()),
  mountSwitches(find(document, ".preferences"), { chooseLanguage: setLanguage, nextTheme }),
  mountStatus(find(document, ".status"), {
    connect: () => link.connect(),
    disconnect: () => link.disconnect(),
    openAccess: access.open,
  }),
  mountNumbers(find(document, ".numbers")),
  mountForm(find(document, "#publish"), find(document, "[data-act=compose]"), address("api/notify"), headers),
  mountMenu(find(document, ".menu"), {
    exportView,
    copyLink,
    toggleNotices,
    toggleToasts,
    openAccess: access.open,
    notices: () => desktop,
  }),
  mountToasts(find(document, ".toasts"), { open, close: closeToast }),
  mountAnnouncer(find(document, "#announcer")),
  access,
  help,
];

start();

function start() {
  find(document, "[data-act=help]").addEventListener("click", help.open);
  mountShortcuts(
    {
      "/": filterBar.focusSearch,
      p: pause,
      n: follow,
      g: list.toGap,
      j: () => list.step(1),
      k: () => list.step(-1),
      "?": help.open,
    },
    () => keysOn,
  );
  document.addEventListener("scroll", schedule, { passive: true });
  addEventListener("resize", schedule);
  document.addEventListener("focusin", schedule);
  setInterval(schedule, TICK_MS);
  link.connect();
  void refreshRights();
  paint();
  // So that the switch works when the hub is away, too.
  setTimeout(() => loadWords(language === "fr" ? "en" : "fr").catch(() => {}), OTHER_WORDS_MS);
}

/** @param {Batch} batch */
function take(batch) {
  const now = Date.now();
  const news = arrivals.take(batch, now);
  const events = news.filter((entry) => entry.kind === "event");
  if (toastsOn) notices.push(news.filter((entry) => entry.kind !== "welcome" && reading.matches(entry)), now);
  for (const entry of events) desktop.take(entry, entry.message, now);
  unseen.count(events.length);
  schedule();
}

/** @param {LinkState} state */
function setState(state) {
  if (state.phase === "live" && stream.phase !== "live") {
    askedFactsAt = -Infinity;
    if (stream.cause) void refreshRights(); // it was away: the hub may be another one, or the key have other rights
  }
  if (state.phase !== "live") latency.forget();
  stream = state;
  unseen.update({ words, look: lookOf(stream) });
  schedule();
}

/** Asks for one painting in the next frame, however much happens before; a hidden tab has no frames. */
function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    paint();
  });
}

function paint() {
  const now = Date.now();
  applyFilter();
  arrivals.settle(now);
  if (arrivals.isOpen && !isFilled) begin();
  const away = list.isAway();
  if (paused || detail.isOpen() || away) reading.hold(now);
  else reading.release();
  if (translatedTo !== language) translatePage();
  document.documentElement.dataset.theme = theme;
  notices.expire(now);
  const view = viewAt(now, away);
  for (const component of components) component.update(view);
  refreshFacts(now);
}

/** @param {number} now @param {boolean} away @returns {View} */
function viewAt(now, away = list.isAway()) {
  const shown = { feed, reading, past, paused, away, notices, pace, latency, facts, rights };
  return { stream, ...shown, toastsOn, density, language, words, theme, now };
}

function translatePage() {
  translatedTo = language;
  document.documentElement.lang = language;
  translate(document, words);
  unseen.update({ words, look: lookOf(stream) });
}

/** The stream has brought what it begins with: the rest of the opening comes from the history. */
function begin() {
  isFilled = true;
  if (opening > 0) loader.fill(opening);
  if (wantedEvent) void showEvent(wantedEvent);
}

/** More of the past is there. @param {number} moved by how many rows what is seen was moved */
function takePage(moved) {
  list.shift(moved);
  schedule();
}

/** @param {Filter} filter */
function setFilter(filter) {
  nextFilter = filter;
  schedule();
}

function applyFilter() {
  if (!nextFilter || sameFilter(nextFilter, reading.filter)) return;
  reading.setFilter(nextFilter);
  nextFilter = null;
  notices.clear();
  say("");
  history.replaceState(null, "", location.pathname + queryOf(reading.filter, new URLSearchParams(location.search)));
  if (list.isAway()) list.toTop();
  clearTimeout(fillTimer);
  fillTimer = Number(setTimeout(() => isFilled && opening > 0 && loader.fill(opening), SETTLED_MS));
}

/** @param {number} now */
function refreshFacts(now) {
  if (stream.phase !== "live" || now - askedFactsAt < FACTS_EVERY_MS) return;
  askedFactsAt = now;
  const { received } = feed;
  void askFacts(address("api/stats"), headers, latency).then((answer) => {
    facts = answer ?? facts;
    if (answer) feed.receivedThen = received;
    schedule();
  });
}

async function refreshRights() {
  rights = (await askRights(address("api/session"), key)) ?? rights;
  schedule();
}

/**
 * Begins anew as somebody else: what was shown was for who one was. @param {string} other "" for nobody
 * @returns {boolean} whether the browser keeps it
 */
function useKey(other) {
  if (!keepKey(other)) return false;
  // A cookie that some other page of this origin may have set would be sent wherever there is no key.
  void fetch(address("api/session"), { method: "DELETE" }).finally(() => location.reload());
  return true;
}

/** @param {Entry} entry */
function open(entry) {
  reading.hold(Date.now());
  detail.open(entry, viewAt(Date.now()));
}

/** Opens the event that the address asks for. @param {string} id */
async function showEvent(id) {
  wantedEvent = "";
  const entry = reading.list.toArray().find((each) => each.kind === "event" && each.id === id) ?? (await loader.find(id));
  if (entry) open(entry);
  else say(words.notKept);
}

/** @param {Entry} entry @param {1 | -1} step @returns {Entry | null} */
function beside(entry, step) {
  let rank = reading.rankOf(entry);
  if (rank < 0) return null;
  do rank += step;
  while (rank >= 0 && rank < reading.size && ["welcome", "cut"].includes(reading.at(rank).kind));
  return rank >= 0 && rank < reading.size ? reading.at(rank) : null;
}

/** What concerns the whole feed, until the filter changes. @param {string} text */
function say(text) {
  setText(find(document, ".feed-said"), text);
}

function pause() {
  paused = !paused;
  if (paused) reading.hold(Date.now()); // at once: what comes before the next frame is not shown any more
  schedule();
}

/** Back to the newest, and on with them. */
function follow() {
  paused = false;
  list.toTop();
  schedule();
}

/** The rule of an earlier visit. @returns {Filter | null} */
function recalledRule() {
  const rule = recallObject("notices");
  return rule && filterOf(new URLSearchParams(queryOf({ ...EVERYTHING, ...rule }, new URLSearchParams())));
}

/** @param {"ndjson" | "csv"} format */
function exportView(format) {
  const entries = reading.list.toArray().filter((entry) => entry.kind !== "welcome");
  const text = format === "csv" ? csvOf(entries) : ndjsonOf(entries);
  download(text, fileName(Date.now(), format), format === "csv" ? "text/csv" : "application/x-ndjson");
}

function copyLink() {
  return copyText(location.href, find(document, ".menu"));
}

/** On for what is on view now, or off. */
async function toggleNotices() {
  if (desktop.rule) desktop.stop();
  else await desktop.start({ ...reading.filter });
  remember("notices", JSON.stringify(desktop.rule));
  schedule();
}

function toggleToasts() {
  toastsOn = !toastsOn;
  notices.clear();
  remember("toasts", toastsOn ? "on" : "off");
  schedule();
}

/** @param {Entry} entry */
function closeToast(entry) {
  notices.close(entry);
  schedule();
}

function toggleDensity() {
  density = density === "compact" ? "comfortable" : "compact";
  remember("density", density);
  schedule();
}

/** Publishes an event to see one come. @returns {Promise<string>} what came of it */
async function sendTest() {
  const event = { type: "notification", message: words.testMessage, topic: "default" };
  const outcome = await publish(address("api/notify"), event, headers);
  return outcome.ok ? "" : refusalText(outcome.status, outcome.error, words);
}

/** @param {boolean} on */
function setKeysOn(on) {
  keysOn = on;
  remember("keys", on ? "on" : "off");
}

/** @param {Language} chosen */
async function setLanguage(chosen) {
  try {
    words = await loadWords(chosen);
  } catch {
    return; // the hub is away, and has these words
  }
  remember("language", chosen);
  language = chosen;
  schedule();
}

function nextTheme() {
  theme = themeAfter(theme);
  remember("theme", theme);
  schedule();
}

/** This view's address, with one event opened or none. @param {string} id */
function addressWith(id) {
  const url = new URL(location.href);
  if (id) url.searchParams.set("event", id);
  else url.searchParams.delete("event");
  return url.href;
}

/** @param {string | null} text from the address */
function openingOf(text) {
  return text !== null && /^\d{1,4}$/.test(text) ? Number(text) : OPENING;
}

/** @param {string} path */
function address(path) {
  return new URL(path, document.baseURI).href;
}
