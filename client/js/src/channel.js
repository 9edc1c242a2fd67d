// One stream for all tabs: the connection, what it brought, and the tabs that are shown it. It runs in
// the shared worker, or in the page where there is none, and can't tell which.

/** @import { Attach, Command, Port, ReceivedEvent, Report } from "./protocol.js" */
/** @import { StreamEvent } from "./parser.js" */
/** @import { Latest } from "./tab.js" */
/** @import { World } from "./requests.js" */
import { holdAlive, onceGone } from "./alive.js";
import { countOf, readObject } from "./json.js";
import { BROWSER } from "./requests.js";
import { Store, isPublished } from "./store.js";
import { HubStream } from "./stream.js";
import { Tab } from "./tab.js";

/** At most 20 batches a second: more would only be painted together anyway. */
const BATCH_MS = 50;
/** A tab that says nothing for so long is gone. Hidden tabs may be let run only once a minute. */
const SILENCE_MS = 150_000;
const SWEEP_MS = 15_000;
/** How long a stream that nobody is shown stays open: a page that is loaded anew is back by then. */
const LINGER_MS = 10_000;

/** @typedef {{tab: Tab, send: (report: Report) => void, heardAt: number}} Seat a tab and its port */

export class Channel {
  /** @param {boolean} shared whether it runs in a worker @param {World} [world] */
  constructor(shared, world = BROWSER) {
    this.shared = shared;
    this.world = world;
    this.store = new Store("");
    /** @type {Set<Seat>} the tabs that are there */
    this.seats = new Set();
    /** @type {HubStream | null} null until the first tab says where the hub is */
    this.stream = null;
    /** @type {Latest} */
    this.latest = { welcome: null, welcomeAt: 0, presence: null };
    /** @type {number | null} the stream's number at the hub */
    this.client = null;
    /** How many of the published events to come are replayed. */
    this.replaying = 0;
    this.flushTimer = 0;
    this.flushedAt = 0;
    this.alive = "";
    /** Whether the stream was closed because nobody was there. */
    this.rests = false;
    if (!shared) return;
    holdAlive((name) => this.greetAll(name));
    this.sweep();
  }

  /** Takes a tab's commands from now on. @param {Port} port */
  serve(port) {
    /** @type {Seat} */
    const seat = { tab: new Tab(this.store), send: (report) => port.postMessage(report), heardAt: 0 };
    port.onmessage = ({ data }) => this.obey(seat, data);
  }

  /** @param {Seat} seat @param {Command} command */
  obey(seat, command) {
    seat.heardAt = this.world.now();
    if (command.do === "attach") return this.attach(seat, command);
    if (command.do === "leave") return this.leave(seat);
    if (!this.seats.has(seat)) this.seat(seat); // it was taken for gone, and wakes up
    if (command.do === "ping") seat.send({ tell: "pong" });
    else if (command.do === "took") this.hearTaken(seat);
    else if (command.do === "connect") this.stream?.connect();
    else if (command.do === "disconnect") this.stream?.disconnect();
    else if (command.do === "wake") this.stream?.wake();
    else if (command.do === "offline") this.stream?.goOffline();
    else if (command.do === "alive") onceGone(command.alive, () => this.leave(seat));
  }

  /** @param {Seat} seat @param {Attach} command */
  attach(seat, command) {
    const stream = this.begin(command);
    seat.tab = new Tab(this.store);
    seat.tab.place(command, this.latest);
    const ahead = command.recent ? this.store.recent(command.recent) : [];
    if (!ahead) return seat.send({ tell: "refuse" });
    seat.tab.ahead = ahead;
    seat.send({ tell: "hello", alive: this.alive });
    this.seat(seat);
    if (command.connect) stream.connect();
    this.schedule();
  }

  /** The stream, begun early enough for a tab. @param {Attach} command @returns {HubStream} */
  begin({ url, first, last, fresh }) {
    if (this.stream) {
      if (this.store.beginsAfter(last)) this.rewind(this.stream, last);
      return this.stream;
    }
    const start = fresh ? first || last : last;
    this.stream = new HubStream(url, (event) => this.take(event), () => this.tellState(), this.world);
    this.stream.resumeAfter(start);
    this.store = new Store(start);
    return this.stream;
  }

  /**
   * Reads the log again from further back, for a tab that has less than the one that began the stream.
   * All tabs are sent everything again; each knows what it has.
   * @param {HubStream} stream @param {string} id
   */
  rewind(stream, id) {
    this.store = new Store(id);
    this.latest = { welcome: null, welcomeAt: 0, presence: null };
    for (const { tab } of this.seats) tab.restart(this.store);
    stream.resumeAfter(id);
  }

  /** @param {string} alive the lock that this channel holds */
  greetAll(alive) {
    this.alive = alive;
    for (const { send } of this.seats) send({ tell: "hello", alive });
  }

  /** @param {Seat} seat */
  seat(seat) {
    this.seats.add(seat);
    if (this.rests) this.stream?.connect();
    this.rests = false;
    this.tellState();
  }

  /** @param {Seat} seat */
  leave(seat) {
    if (!this.seats.delete(seat)) return;
    this.tellState();
    if (this.seats.size === 0) this.world.after(() => this.rest(), LINGER_MS);
  }

  rest() {
    if (this.seats.size > 0 || !this.stream || this.stream.state.phase === "stopped") return;
    this.rests = true;
    this.stream.disconnect();
  }

  /** Forgets the tabs that ended without a word, where no lock tells. */
  sweep() {
    const limit = this.world.now() - SILENCE_MS;
    for (const seat of this.seats) if (seat.heardAt < limit) this.leave(seat);
    this.world.after(() => this.sweep(), SWEEP_MS);
  }

  tellState() {
    if (!this.stream) return;
    const state = { ...this.stream.state, shared: this.shared, tabs: this.seats.size };
    for (const { send } of this.seats) send({ tell: "state", state });
  }

  /** @param {StreamEvent} event */
  take(event) {
    if (event.type === "connection") this.takeWelcome(event);
    const replayed = this.replaying > 0 && isPublished(event);
    if (replayed) this.replaying -= 1;
    /** @type {ReceivedEvent} */
    const received = { ...event, at: this.world.now(), client: this.client, replayed };
    if (event.type === "presence") this.latest.presence = received;
    else this.store.append(received);
    if (event.type === "connection") {
      this.latest = { welcome: received, welcomeAt: this.store.end - 1, presence: null };
    }
    this.schedule();
  }

  /** @param {StreamEvent} event */
  takeWelcome(event) {
    const { id, replayed } = readObject(event.data) ?? {};
    this.client = countOf(id);
    this.replaying = countOf(replayed) ?? 0;
  }

  /** @param {Seat} seat */
  hearTaken({ tab }) {
    tab.taking = false;
    this.schedule();
  }

  /** Sends what is new soon: at once after a pause, else with whatever comes until the next batch. */
  schedule() {
    if (this.flushTimer) return;
    const left = this.flushedAt + BATCH_MS - this.world.now();
    // Bounded above too: the clock may be set back.
    const delay = Math.min(BATCH_MS, Math.max(0, left));
    this.flushTimer = this.world.after(() => this.flush(), delay);
  }

  flush() {
    this.flushTimer = 0;
    this.flushedAt = this.world.now();
    const { received, dropped, floor, bytes: keptBytes, first, end } = this.store;
    const counts = { received, kept: end - first, keptBytes, dropped, floor };
    for (const { tab, send } of this.seats) {
      const delivery = tab.next(this.latest);
      if (delivery) send({ tell: "batch", delivery, counts });
    }
  }
}
