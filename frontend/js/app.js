// The page: wires the stream to the feed and the feed to the components, and says when to paint.

/** @import { Language } from "./languages.js" */
/** @import { Batch, LinkState } from "./stream/protocol.js" */
/** @import { Component, View } from "./view.js" */
import { mountAnnouncer } from "./announcer.js";
import { find, translate } from "./dom.js";
import { mountFeed } from "./feed-list.js";
import { Feed } from "./feed.js";
import { mountForm } from "./form.js";
import { LANGUAGES, chooseLanguage } from "./languages.js";
import { Notices } from "./notices.js";
import { mountNumbers } from "./numbers.js";
import { recall, remember } from "./preferences.js";
import { mountStatus } from "./status.js";
import { openLink } from "./stream/link.js";
import { THEMES, mountSwitches, themeAfter } from "./switches.js";
import { mountToasts } from "./toasts.js";

/** Countdown, toasts and announcements move with the clock, not with events. */
const TICK_MS = 250;

const feed = new Feed();
const narrow = matchMedia("(width < 60rem)").matches;
const notices = new Notices(narrow ? 1 : 3);
// Relative addresses, so that the page also works under a prefix behind a proxy.
const link = openLink({ url: address("events?presence=1"), onBatch: take, onState: setState });
/** @type {LinkState} */
let stream = { phase: "connecting", cause: null, since: Date.now(), retryAt: null, shared: false, tabs: 1 };
let language = chooseLanguage([recall("language") ?? "", ...navigator.languages]);
let theme = THEMES.find((name) => name === recall("theme")) ?? "auto";
let scheduled = false;
/** @type {Language | undefined} */
let translatedTo;

/** @type {Component[]} */
const components = [
  mountSwitches(find(document, ".preferences"), { chooseLanguage: setLanguage, nextTheme }),
  mountStatus(find(document, ".status"), {
    connect: () => link.connect(),
    disconnect: () => link.disconnect(),
  }),
  mountNumbers(find(document, ".numbers")),
  mountForm(find(document, "#publish-form"), address("api/notify")),
  mountFeed(find(document, ".feed")),
  mountToasts(find(document, ".toasts")),
  mountAnnouncer(find(document, "#announcer")),
];

start();

function start() {
  // On a narrow screen the feed matters more than the form above it.
  if (narrow) find(document, ".publish").removeAttribute("open");
  setInterval(schedule, TICK_MS);
  link.connect();
  paint();
}

/** @param {Batch} batch */
function take({ events, history }) {
  const now = Date.now();
  for (const [index, event] of events.entries()) {
    const entry = feed.take(event, event.at);
    if (entry && index >= history) notices.push(entry, now);
  }
  schedule();
}

/** @param {LinkState} state */
function setState(state) {
  stream = state;
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
  const words = LANGUAGES[language];
  /** @type {View} */
  const view = { stream, feed, notices, language, words, theme, now };
  if (translatedTo !== language) {
    translatedTo = language;
    document.documentElement.lang = language;
    translate(document, words);
  }
  document.documentElement.dataset.theme = theme;
  notices.expire(now);
  for (const component of components) component.update(view);
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
