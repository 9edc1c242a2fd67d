// What every component is given to paint: one object, made anew for each frame.

/** @import { Feed } from "./feed.js" */
/** @import { Notices } from "./notices.js" */
/** @import { Language, Words } from "./languages.js" */
/** @import { LinkState } from "./stream/protocol.js" */

/**
 * @typedef {object} View
 * @property {LinkState} stream
 * @property {Feed} feed
 * @property {Notices} notices
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
