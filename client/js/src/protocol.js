// The words between a page and its stream: what a link hands to the page, and what link and worker
// say to each other. Types only; link.js tells how to use them.

/** @import { StreamEvent } from "./parser.js" */
/** @import { StreamState } from "./stream.js" */

/**
 * An event as this browser received it: a published one (`ownId` is true, `type` is the publisher's),
 * or one of the hub's own, whose types no publisher can use. `data` is text, whatever it holds.
 *
 * - `connection`: a stream began, and its number at the hub is `client` from here on;
 * - `gap`: the events missing at this place of the feed can't be had any more;
 * - `presence`: how many clients the hub has now. Only the newest one is kept.
 * @typedef {StreamEvent & Receipt} ReceivedEvent
 */

/**
 * @typedef {object} Receipt
 * @property {number} at when it arrived in this browser, milliseconds since 1970
 * @property {number | null} client the number at the hub of the stream that brought it
 * @property {boolean} replayed whether it was published before that stream was open: it took as long
 *   as that stream was away, which says nothing about the hub's speed
 */

/**
 * What arrived since the last batch: at least one event, in the order of the log, each published event
 * once in the life of the page, whatever happens to hub, connection, worker or the other tabs.
 *
 * @typedef {object} Batch
 * @property {ReceivedEvent[]} events
 * @property {number} history how many of `events`, counted from the first, are no news: they arrived
 *   before this tab was opened, or this tab showed them before it was reloaded. Show them, but don't
 *   announce them. 0 in nearly every batch; all of `events` while a tab is caught up at its start.
 * @property {number} dropped how many published events are missing right before `events[0]` for this
 *   tab, because it took none for so long (a frozen tab) that the store had to let them go. 0 as good
 *   as always; else the feed has a gap there, and must say so.
 * @property {Totals} totals
 */

/**
 * The stream's own count, the same in all tabs.
 * @typedef {object} Totals
 * @property {number} received published events since the stream began, those replayed included
 * @property {number} kept how many things the store keeps now, which is what a new tab gets
 * @property {number} keptBytes and how much memory they take at most
 * @property {number} dropped how many published events the store no longer keeps
 */

/**
 * Why a page has a stream of its own: `asked` for; its `credentials` are not other tabs'; it asks for a `state` that
 * the shared stream has no more; the client's code is of another `origin`, or `bundled`, and no `worker` is
 * named; the browser has no shared workers (`unsupported`); the worker could not be started (`failed`).
 * @typedef {"asked" | "credentials" | "state" | "origin" | "bundled" | "unsupported" | "failed"} Unshared
 */

/**
 * The state of the stream, the same in all tabs of the browser that share it.
 * @typedef {StreamState & Sharing & {unshared: Unshared | null}} LinkState `unshared`: why it isn't shared
 */

/**
 * @typedef {object} Sharing
 * @property {boolean} shared whether it runs in a worker that all tabs share; otherwise in this page
 * @property {number} tabs how many tabs show this stream; when one is closed without a word, it may
 *   be counted for some time
 */

/**
 * How a tab introduces itself to the channel.
 * @typedef {object} Attach
 * @property {"attach"} do
 * @property {string} url of the stream
 * @property {boolean} fresh whether the tab shows nothing yet, and wants all that is kept
 * @property {string} first the cursor before the oldest event that it showed before a reload, or ""
 * @property {string} last the last event that it shows, or showed before a reload, or ""
 * @property {boolean} connect whether the stream shall be opened
 * @property {Recent | null} recent what a tab that has nothing yet gets first, of what the stream keeps
 */

/**
 * The newest events, or those of each topic, as a new stream begins with them.
 * @typedef {{last?: number, lastPerTopic?: number}} Recent
 */

/**
 * What a tab says to the channel. `took`: it has taken the last batch. `offline`: so says its browser.
 * `alive` names the lock that the tab holds as long as it lives.
 * @typedef {Attach | {do: "alive", alive: string}
 *   | {do: "connect" | "disconnect" | "wake" | "offline" | "took" | "ping" | "leave"}} Command
 */

/**
 * @typedef {object} Delivery
 * @property {ReceivedEvent[]} events
 * @property {number} kept how many of them, from the first, were kept from before the tab attached
 * @property {number} dropped as in Batch
 */

/** @typedef {Totals & {floor: string}} Counts `floor`: the cursor before the oldest event kept */

/**
 * What the channel says to a tab. `hello` answers `attach`; `alive` names the
 * lock that the worker holds as long as it lives, or is "". `refuse` answers it where the tab can't have what is
 * `recent`. `pong` answers `ping`.
 * @typedef {{tell: "hello", alive: string}
 *   | {tell: "refuse"}
 *   | {tell: "state", state: StreamState & Sharing}
 *   | {tell: "batch", delivery: Delivery, counts: Counts}
 *   | {tell: "pong"}} Report
 */

/**
 * A port as both ends use it, be it a worker's or a MessageChannel's.
 * @typedef {Pick<MessagePort, "postMessage" | "onmessage" | "close">} Port
 */

export {};
