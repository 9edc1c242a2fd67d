// What every component is given to paint: one object, made anew for each frame.

/** @import { Rights } from "./access.js" */
/** @import { Feed } from "./feed/feed.js" */
/** @import { HubFacts } from "./feed/hub-facts.js" */
/** @import { Latency } from "./feed/latency.js" */
/** @import { Notices } from "./feed/notices.js" */
/** @import { Pace } from "./feed/pace.js" */
/** @import { Past } from "./feed/past.js" */
/** @import { Reading } from "./feed/reading.js" */
/** @import { LinkState } from "../client/v1/protocol.js" */
/** @import { Words } from "./words/fr.js" */
/** @import { Language } from "./words/languages.js" */

/**
 * @typedef {object} View
 * @property {LinkState} stream
 * @property {Feed} feed
 * @property {Reading} reading
 * @property {Past} past what of the history was asked for
 * @property {boolean} away whether the feed is scrolled, or the keyboard is in it
 * @property {boolean} paused by the person; a view may also be held because it is scrolled
 * @property {Notices} notices
 * @property {Pace} pace
 * @property {Latency} latency
 * @property {HubFacts | null} facts null until the hub has told
 * @property {Rights | null} rights null until the hub has told, or where it doesn't
 * @property {boolean} toastsOn
 * @property {"comfortable" | "compact"} density of the rows
 * @property {Language} language
 * @property {Words} words
 * @property {"auto" | "light" | "dark"} theme
 * @property {number} now milliseconds since 1970
 */

/**
 * A mounted component: paints a view, and paints nothing twice.
 * @typedef {{update: (view: View) => void}} Component
 */

export {};
