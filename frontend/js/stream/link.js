// A page's link to the stream of events: the only thing of this folder that the page uses.
//
//     const link = openLink({ url, onBatch, onState });
//     link.connect();
//
// One stream serves all tabs. So its state is shared, and what a tab does to it is done for all of
// them: `connect()` opens it everywhere, `disconnect()` stops it everywhere, and every tab is told
// the same state. A stream that somebody stopped stays so until somebody connects, or loads a page,
// which calls `connect()` itself.

/** @import { Batch, LinkState, ReceivedEvent } from "./protocol.js" */
/** @import { StreamEvent } from "./parser.js" */
import { countOf, readObject } from "./json.js";
import { HubStream } from "./stream.js";

/**
 * @typedef {object} Link
 * @property {() => void} connect opens the stream now, unless it is open; also "retry now"
 * @property {() => void} disconnect stops the stream, in all tabs, until the next connect()
 * @property {() => void} wake tries at once if the stream waits for its next try. The link does so by
 *   itself when the browser comes back online and when the tab becomes visible
 * @property {() => void} close ends the link; the stream goes on for the other tabs
 */

/** At most 20 batches a second: more would only be painted together anyway. */
const BATCH_MS = 50;

/**
 * Begins to listen. Nothing is called before this function has returned.
 *
 * `onState` is called with the first state soon (`stopped` without a cause, in a browser without a
 * stream), then at each change. `onBatch` is called at most 20 times a second, never with an empty
 * batch. A tab that joins a stream first gets what that keeps, as `history`; a tab that was reloaded
 * gets what it showed before, as far as the hub still has it, as `history` too, and then goes on.
 *
 * @param {object} options
 * @param {string} options.url the absolute address of the event stream
 * @param {(batch: Batch) => void} options.onBatch
 * @param {(state: LinkState) => void} options.onState
 * @returns {Link}
 */
export function openLink({ url, onBatch, onState }) {
  /** @type {ReceivedEvent[]} */
  let events = [];
  let received = 0;
  /** @type {number | null} */
  let client = null;
  let closed = false;

  const stream = new HubStream(url, take, (state) => onState({ ...state, shared: false, tabs: 1 }));
  addEventListener("online", wake);
  document.addEventListener("visibilitychange", wake);
  return { connect: () => stream.connect(), disconnect: () => stream.disconnect(), wake, close };

  /** @param {StreamEvent} event */
  function take(event) {
    if (event.type === "connection") client = countOf(readObject(event.data)?.id);
    if (event.ownId && event.type !== "connection") received += 1;
    if (events.length === 0) setTimeout(flush, BATCH_MS);
    events.push({ ...event, at: Date.now(), client });
  }

  function flush() {
    const batch = events;
    events = [];
    const totals = { received, kept: 0, keptBytes: 0, dropped: received };
    if (!closed) onBatch({ events: batch, history: 0, dropped: 0, totals });
  }

  function wake() {
    if (!document.hidden) stream.wake();
  }

  function close() {
    closed = true;
    stream.close();
  }
}
