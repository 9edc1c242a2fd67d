// The page: wires the stream to the feed and the feed to the components, and says when to paint.

/** @import { Rights } from "./access.js" */
/** @import { Entry } from "./feed/entry.js" */
/** @import { Filter } from "./feed/filter.js" */
/** @import { Horizon } from "./feed/horizon.js" */
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
import { Reading } from "./feed/reading.js";
import { mountAccess } from "./parts/access.js";
import { mountAnnouncer } from "./parts/announcer.js";
import { copyText } from "./parts/clipboard.js";
import { DesktopNotices } from "./parts/desktop.js";
import { mountDetail } from "./parts/detail.js";
import { find, translate } from "./parts/dom.js";
import { download, fileName } from "./parts/download.js";
import { mountFeed } from "./parts/feed-list.js";
import { mountFilterBar } from "./parts/filter-bar.js";
import { mountForm } from "./parts/form.js";
import { mountHelp } from "./parts/help.js";
import { mountMenu } from "./parts/menu.js";
import { mountNumbers } from "./parts/numbers.js";
import { mountShortcuts } from "./parts/shortcuts.js";
import { askStats } from "./parts/stats.js";
import { lookOf } from "./parts/status-text.js";
import { mountStatus } from "./parts/status.js";
import { THEMES, mountSwitches, themeAfter } from "./parts/switches.js";
import { mountToasts } from "./parts/toasts.js";
import { mountUnseen } from "./parts/unseen.js";
import { recall, recallObject, remember } from "./preferences.js";
import { NO_STATE, openLink } from "../client/v1/tocsin.js";
import { LANGUAGES, chooseLanguage } from "./words/languages.js";

/** Countdown, toasts and announcements move with the clock, not with events. */
const TICK_MS = 250;
/** How often the hub is asked for its clock and its history, while somebody looks. */
const STATS_EVERY_MS = 15_000;

const key = recallKey();
const headers = headersOf(key);
const narrow = matchMedia("(width < 60rem)").matches;
const feed = new Feed();
const reading = new Reading(feed);
const pace = new Pace(Date.now());
const latency = new Latency();
const notices = new Notices(narrow ? 1 : 3);
const arrivals = new Arrivals({ feed, reading, pace, latency });
const unseen = mountUnseen();
const desktop = new DesktopNotices(recalledRule());
/** @type {LinkState} */
let stream = { ...NO_STATE, since: Date.now() };
/** @type {Horizon | null} */
let horizon = null;
/** @type {Rights | null} */
let rights = null;
let askedStatsAt = -Infinity;
let language = chooseLanguage([recall("language") ?? "", ...navigator.languages]);
let theme = THEMES.find((name) => name === recall("theme")) ?? "auto";
let keysOn = recall("keys") !== "off";
let paused = false;
let scheduled = false;
/** @type {Filter | null} set once a frame, however fast somebody types */
let nextFilter = filterOf(new URLSearchParams(location.search));
/** @type {Language | undefined} */
let translatedTo;

// Relative addresses, so that the page also works under a prefix behind a proxy.
const link = openLink({ url: address("events?presence=1"), headers, onBatch: take, onState: setState });
const detail = mountDetail(find(document, "#detail"), address("api/notify"));
const list = mountFeed(find(document, ".feed"), { open, repaint: schedule });
const filterBar = mountFilterBar(find(document, ".feed"), { setFilter, pause, follow });
const access = mountAccess(find(document, "#access"), { hasKey: () => key !== "", use: useKey });
const help = mountHelp(find(document, "#help"), { keysOn: () => keysOn, setKeysOn });

/** @type {Component[]} */
const components = [
  list, // first: it measures, which is cheap as long as nothing has changed
  filterBar,
  mountSwitches(find(document, ".preferences"), { chooseLanguage: setLanguage, nextTheme }),
  mountStatus(find(document, ".status"), {
    connect: () => link.connect(),
    disconnect: () => link.disconnect(),
    openAccess: access.open,
  }),
  mountNumbers(find(document, ".numbers")),
  mountForm(find(document, "#publish-form"), address("api/notify"), headers),
  mountMenu(find(document, ".menu"), {
    exportView,
    copyLink,
    toggleNotices,
    openAccess: access.open,
    notices: () => desktop,
  }),
  mountToasts(find(document, ".toasts")),
  mountAnnouncer(find(document, "#announcer")),
  access,
  help,
];

start();

function start() {
  // On a narrow screen the feed matters more than the form above it.
  if (narrow) find(document, ".publish").removeAttribute("open");
  find(document, "[data-act=help]").addEventListener("click", help.open);
  mountShortcuts(
    {
      "/": filterBar.focusSearch,
      p: pause,
      n: follow,
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
}

/** @param {Batch} batch */
function take(batch) {
  const now = Date.now();
  const news = arrivals.take(batch, now);
  for (const entry of news) {
    if (entry.kind !== "welcome") notices.push(entry, now); // the status bar tells of that
    if (entry.kind === "event") desktop.take(entry, entry.message, now);
  }
  unseen.count(news.filter((entry) => entry.kind === "event").length);
  schedule();
}

/** @param {LinkState} state */
function setState(state) {
  if (state.phase === "live" && stream.phase !== "live") {
    askedStatsAt = -Infinity;
    if (stream.cause) void refreshRights(); // it was away: the hub may be another one, or the key have other rights
  }
  if (state.phase !== "live") latency.forget();
  stream = state;
  unseen.update({ words: LANGUAGES[language], look: lookOf(stream) });
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
  const view = viewAt(now);
  applyFilter();
  if (paused || detail.isOpen() || list.isAway()) reading.hold(now);
  else reading.release();
  if (translatedTo !== language) translatePage();
  document.documentElement.dataset.theme = theme;
  notices.expire(now);
  for (const component of components) component.update(view);
  refreshStats(now);
}

/** @param {number} now @returns {View} */
function viewAt(now) {
  const words = LANGUAGES[language];
  return { stream, feed, reading, paused, notices, pace, latency, horizon, rights, language, words, theme, now };
}

function translatePage() {
  translatedTo = language;
  document.documentElement.lang = language;
  translate(document, LANGUAGES[language]);
  unseen.update({ words: LANGUAGES[language], look: lookOf(stream) });
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
  history.replaceState(null, "", location.pathname + queryOf(reading.filter, new URLSearchParams(location.search)));
  if (list.isAway()) list.toTop();
}

/** @param {number} now */
function refreshStats(now) {
  if (stream.phase !== "live" || now - askedStatsAt < STATS_EVERY_MS) return;
  askedStatsAt = now;
  void askStats(address("api/stats"), headers, latency).then((answer) => {
    horizon = answer;
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

function pause() {
  paused = !paused;
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

/** @param {boolean} on */
function setKeysOn(on) {
  keysOn = on;
  remember("keys", on ? "on" : "off");
}

/** @param {Language} chosen */
function setLanguage(chosen) {
  language = chosen;
  remember("language", chosen);
  schedule();
}

function nextTheme() {
  theme = themeAfter(theme);
  remember("theme", theme);
  schedule();
}

/** @param {string} path */
function address(path) {
  return new URL(path, document.baseURI).href;
}
