"""The thread that writes the file: one transaction for all that it is handed at once.

It decides ids and times, because only what is committed may use them up. The loop hears once of each
transaction. While the file can't be written, groups are refused at once, and the file is opened again
and again, with growing pauses.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from itertools import accumulate, islice, pairwise, repeat
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

from tocsin.core.event import Draft, Event, EventId, ids_from
from tocsin.core.record import RecordError
from tocsin.errors import Unavailable
from tocsin.eventlog.evictions import Evictions
from tocsin.eventlog.journal.base import Append, Committed, Opening, Outcome, Window
from tocsin.eventlog.journal.ended import end_some, ended_by
from tocsin.eventlog.journal.sqlite import schema
from tocsin.eventlog.journal.sqlite.file import cannot_open, connect, is_damage
from tocsin.eventlog.journal.sqlite.gathering import Group
from tocsin.eventlog.journal.sqlite.kept_newest import NO_CHANGE, Change
from tocsin.eventlog.journal.sqlite.limits import Limits
from tocsin.eventlog.journal.sqlite.outage import Outage, told_of
from tocsin.eventlog.journal.sqlite.own_file import Gone, OwnFile
from tocsin.eventlog.journal.sqlite.room import has_room, take_room, wanted_by
from tocsin.eventlog.journal.sqlite.segments import ROWS, micros, seconds
from tocsin.eventlog.journal.sqlite.store import Evicted, Store, cut, has_log

TICK_S = 1.0
"""How often the thread looks at ages when nothing comes in."""

PAUSE_S = 0.01
"""Between two steps where more is left to evict or to give back."""

RETRY_BUSY_S = 0.5
"""How long the opening after a failure waits for another program, which the publishers don't wait for."""

MOST_AHEAD_S = 60.0
"""How far the newest event's time may be ahead of the clock at the start without a warning."""

CHECKPOINT_PAGES = 1_000
"""Pages in the write-ahead log after which they are moved into the file: 8 MiB."""

FREE_PAGES = 500
"""Unused pages that stay in the file for what comes next: 4 MiB."""

GIVEN_BACK = 100
"""Pages that are given back to the disk in one step."""

NOTHING = Evicted((), NO_CHANGE)

log = logging.getLogger("tocsin")


class Opened(NamedTuple):
    """What the file held when it was opened, and what tells it from another one."""

    opening: Opening
    state: State
    evictions: Evictions
    kept_newest: Change
    file: OwnFile


class State(NamedTuple):
    """What the file has come to."""

    head: int
    floor: int
    bytes: int
    oldest_time: float | None


class Written(NamedTuple):
    """What one transaction did."""

    events: Sequence[Event]
    groups: Sequence[tuple[Group, Sequence[Outcome]]]
    state: State
    evicted: Evicted


class Ends(NamedTuple):
    """Where the thread tells the loop what happened; each is called on the loop.

    Attributes:
        opened: once, when the file is open.
        refused: instead, if it can't be.
        written: after each transaction.
        failed: these groups weren't committed. The error stands until `recovered`.
        recovered: the file is written again, and has come to this; with the pairs that were evicted without being
            told, and all that stays of what was evicted.
        stopped: once, at the end.
    """

    opened: Callable[[Opened], None]
    refused: Callable[[Exception], None]
    written: Callable[[Written], None]
    failed: Callable[[Sequence[Group], Unavailable], None]
    recovered: Callable[[State, Evicted], None]
    stopped: Callable[[], None]


class Writer:
    """Starts the thread, which opens the file.

    Args:
        path: of the file; it exists, may be empty, and is locked.
        limits: what is kept.
        window: what of it is wanted at the start.
        ends: on the loop.
        loop: the running one.
        clock: Unix time in seconds.
        monotonic: seconds of a clock that can't be set.

    Attributes:
        step: when the thread began with what it does, on `time.monotonic`; 0.0 while it waits. Any thread may look.
    """

    def __init__(
        self,
        path: Path,
        limits: Limits,
        window: Window,
        ends: Ends,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._path = path
        self._limits = limits
        self._window = window
        self._ends = ends
        self._loop = loop
        self._clock = clock
        self._monotonic = monotonic
        self._handed_over: SimpleQueue[Sequence[Group] | None] = SimpleQueue()
        self._db: sqlite3.Connection | None = None
        self._store: Store
        self._evictions: Evictions
        self.step = 0.0
        self._stopping = False
        self._next_tick = 0.0
        self._gives_back = self._tidies_keys = True  # until damage is met in it
        self._file: OwnFile | None = None
        self._told: State
        self._outage = Outage()
        self._frames = 0  # pages written to the write-ahead log since the last checkpoint, about
        self._thread = threading.Thread(target=self._run, name="journal writer", daemon=True)
        self._thread.start()

    def put(self, groups: Sequence[Group]) -> None:
        """Commit `groups`, of which there is one, in one transaction. Never waits."""
        self._handed_over.put(groups)

    def stop(self) -> None:
        """Commit what was put so far, then close the file and end the thread."""
        self._handed_over.put(None)

    def join(self) -> None:
        """Wait for the thread, which has said that it is at its end."""
        self._thread.join()

    # --- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            opened = self._open_first()
        except Exception as error:
            self._close()
            if self._file:
                self._file.close()
            self._call(self._ends.refused, error)
            return
        self._call(self._ends.opened, opened)
        while not self._stopping:
            groups: Sequence[Group] = self._take()
            try:
                self.step = time.monotonic()
                if groups:
                    self._commit(groups)
                    groups = ()  # they are told; what fails from here on is not their failure
                    self.step = time.monotonic()
                if self._frames >= CHECKPOINT_PAGES:
                    self._checkpoint()
                    self.step = time.monotonic()
                if self.step >= self._next_tick:
                    self._tidy()
            except Exception as error:
                self._recover(groups, error)
            self.step = 0.0
        if self._db and not self._own_file.is_there:
            self._empty_log()
        self._close()
        self._own_file.close()
        self._call(self._ends.stopped)

    def _open_first(self) -> Opened:
        try:
            self._db = db = connect(self._path)
            self._file = OwnFile(self._path)
            schema.upgrade(db, int(self._clock() * 1000))
            if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
                raise schema.UnknownVersion("its file system can't hold a write-ahead log")
            store = self._store = self._make_store(db)
            if store.is_copy:
                store.begin_epoch(int(self._clock() * 1000))
            self._evictions = store.load_evictions(self._limits.remembered_evictions)
            self._evictions.remember_late(store.take_up_kept_newest(self._evictions))
            events = store.newest(*self._window)
        except (OSError, sqlite3.Error, schema.UnknownVersion, RecordError) as error:
            raise cannot_open(self._path, error) from error
        floor = events[0].id.seq - 1 if events else store.head
        opening = Opening(EventId(store.epoch, floor), events, store.ended.all)
        self._warn_of_times_ahead()
        self._told = self._state()
        kept_newest = self._all_kept_newest()
        return Opened(opening, self._told, self._evictions, kept_newest, self._own_file)

    def _make_store(self, db: sqlite3.Connection) -> Store:
        return Store(db, self._limits, self._clock(), self._monotonic())

    def _warn_of_times_ahead(self) -> None:
        """Say if the clock was ahead once: times never go back, so events bear that time until the clock has come to it."""
        ahead_s = seconds(self._store.time) - self._clock()
        if ahead_s > MOST_AHEAD_S:
            log.warning(
                "the newest event's time is ahead of the clock, and so are those of new ones until it is reached",
                extra={"ahead_s": round(ahead_s)},
            )

    def _all_kept_newest(self) -> Change:
        """All that stays of what was evicted, as if it were new."""
        kept = self._store.kept_newest
        return Change([event for some in kept.events() for event in some], (), kept.bytes)

    def _state(self) -> State:
        store = self._store
        return State(store.head, store.floor, store.bytes, store.oldest_time)

    def _call(self, end: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(end, *arguments)
        except RuntimeError:  # the loop is closed: the process ends
            self._stopping = True

    def _take(self) -> Sequence[Group]:
        """The groups of the next transaction; none where a tick is due. Waits for either."""
        try:
            groups = self._handed_over.get(timeout=max(self._next_tick - time.monotonic(), 0.0))
        except Empty:
            return ()
        if groups is None:
            self._stopping = True
            return ()
        return groups

    # --- a transaction ------------------------------------------------------------------------

    def _commit(self, groups: Sequence[Group]) -> None:
        """Write these groups, and tell the loop when they are on the disk."""
        db, store = self._connection(), self._store
        appends = [append for group in groups for append in group.appends]
        drafts = [draft for append in appends for draft in append.drafts]
        # Nothing of what comes with it: if this commit fails, the log still ends where it did.
        surplus = store.surplus_to
        have_keys = [append.once for append in appends].count(None) < len(appends)
        may_refuse = have_keys or end_some(drafts) or len(store.ended) > 0
        time = max(store.time, micros(self._clock()))
        # One statement commits by itself, which spares two turns of waiting for the interpreter's lock.
        if may_refuse or surplus > store.floor:
            db.execute("BEGIN IMMEDIATE")
        if may_refuse:
            events, outcomes = self._accept(appends, seconds(time))
            drafts = [event.draft for event in events]
        else:
            events, outcomes = self._accept_all(appends, drafts, seconds(time))
        segments = store.next_segments(drafts, time)
        if len(segments) > ROWS and not db.in_transaction:
            db.execute("BEGIN IMMEDIATE")
        before = store.total
        if segments:
            store.add(segments)
        evicted = NOTHING
        if db.in_transaction:
            if surplus > store.floor:
                added_bytes = store.total - before
                evicted = store.evict(surplus, self._evictions, len(events), added_bytes)
            db.execute("COMMIT")
        written_bytes = sum([len(segment.contents) for segment in segments])
        self._frames += 4 + written_bytes // 8_000 + _pages(evicted)
        left = iter(outcomes)
        told = [(group, list(islice(left, len(group.appends)))) for group in groups]
        self._tell(events, told, evicted)

    def _tell(
        self,
        events: Sequence[Event],
        groups: Sequence[tuple[Group, Sequence[Outcome]]],
        evicted: Evicted,
    ) -> None:
        """Tell the loop of a transaction that is on the disk."""
        self._told = self._state()
        self._call(self._ends.written, Written(events, groups, self._told, evicted))

    def _accept_all(
        self, appends: Sequence[Append], drafts: Sequence[Draft], time: float
    ) -> tuple[list[Event], list[Outcome]]:
        """The events of `appends`, whose drafts these are, and the outcomes; nothing is known that one could be refused by."""
        store = self._store
        ids = ids_from(store.epoch, store.head + 1, len(drafts))
        bounds = pairwise(accumulate([len(append.drafts) for append in appends], initial=0))
        outcomes: list[Outcome] = [Committed(ids[first:end]) for first, end in bounds]
        return list(map(Event, ids, drafts, repeat(time))), outcomes

    def _accept(self, appends: Sequence[Append], time: float) -> tuple[list[Event], list[Outcome]]:
        """The events of those of `appends` that are new and aren't refused, and the outcomes of all.

        What comes with them is put into the file: their keys, and which topics they end.
        """
        store = self._store
        steady = self._monotonic()
        events: list[Event] = []
        outcomes: list[Outcome] = []
        for append in appends:
            drafts, once = append.drafts, append.once
            known = store.find_key(once, steady) if once else None
            if once and known:
                outcomes.append(known.outcome(once))
                continue
            refusal = store.ended.refuse(drafts)
            if refusal:
                outcomes.append(refusal)
                continue
            first = store.head + len(events) + 1
            ids = ids_from(store.epoch, first, len(drafts))
            new = list(map(Event, ids, drafts, repeat(time)))
            events += new
            outcomes.append(Committed(ids))
            if once and drafts:
                store.add_key(once, first, len(drafts), steady)
            if end_some(drafts):
                store.end(ended_by(new))
        return events, outcomes

    def _connection(self) -> sqlite3.Connection:
        assert self._db, "the file is closed"
        return self._db

    # --- what isn't waited for ----------------------------------------------------------------

    def _tidy(self) -> None:
        """A tick: evict what is too old or too much, forget old keys, give back what is free."""
        self._outage.look(time.monotonic())
        self._own_file.check()
        evicted = self._evict()
        if evicted:
            self._tell((), (), evicted)
        db, store = self._connection(), self._store
        free = db.execute("PRAGMA freelist_count").fetchone()[0] if self._gives_back else 0
        if free > FREE_PAGES + GIVEN_BACK:
            self._give_back(db)
        is_more_left = store.surplus_to > store.floor or free > FREE_PAGES + 2 * GIVEN_BACK
        self._next_tick = time.monotonic() + (PAUSE_S if is_more_left else TICK_S)

    def _give_back(self, db: sqlite3.Connection) -> None:
        """Give some of the free pages back to the disk."""
        try:
            # `execute` would take the first step of it, which gives one page back.
            db.executescript(f"PRAGMA incremental_vacuum({GIVEN_BACK})")
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self._gives_back = False
            log.warning("no room of the journal's file is given back: it is damaged")
        self._frames += 2 * GIVEN_BACK

    def _evict(self) -> Evicted | None:
        """Evict what is too old or too much, or the oldest part of it, and forget old keys; None where nothing was to be done."""
        db, store = self._connection(), self._store
        steady = self._monotonic()
        store.look_at_ages(steady)
        surplus = store.surplus_to
        self._forget_keys(steady)
        if surplus <= store.floor:
            return None
        db.execute("BEGIN IMMEDIATE")
        evicted = store.evict(surplus, self._evictions)
        db.execute("COMMIT")
        self._frames += _pages(evicted) + 10
        return evicted

    def _forget_keys(self, steady: float) -> None:
        """Drop some of the idempotency keys that are too old. Damage there keeps nobody else from publishing."""
        db = self._connection()
        try:
            if self._tidies_keys and self._store.has_old_keys(steady):
                self._store.drop_keys(steady)
                self._frames += 10
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self._tidies_keys = False
            if db.in_transaction:
                db.execute("ROLLBACK")
            log.warning("old idempotency keys stay in the journal's file: it is damaged")

    @property
    def _own_file(self) -> OwnFile:
        assert self._file, "the file was never opened"
        return self._file

    def _checkpoint(self) -> None:
        """Move what is in the write-ahead log into the file, so that the log begins anew."""
        busy, frames, moved = (
            self._connection().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        )
        # Where a reader held up the rest, it is tried again as soon as a part of a log has come in.
        self._frames = 0 if not busy and frames == moved else CHECKPOINT_PAGES * 3 // 4

    # --- failures -----------------------------------------------------------------------------

    def _recover(self, groups: Sequence[Group], error: Exception) -> None:
        """Refuse `groups` and what comes, until the file can be written again.

        The connection is given up: after an error of fsync, what it holds for written may not be on the disk.
        """
        why = self._fail(groups, error)
        size = wanted_by(groups)
        while True:
            self.step = 0.0
            self._refuse_for(self._outage.next_pause(), why)
            if self._stopping:
                return
            self.step = time.monotonic()
            if why.code == "storage_full" and not has_room(self._path.parent):
                continue
            try:
                evicted = self._open_again(size)
            except Exception as still:
                why = self._fail((), still, why)
            else:
                self._outage.recovered(time.monotonic())
                self._call(self._ends.recovered, self._told, evicted)
                return

    def _fail(
        self, groups: Sequence[Group], error: Exception, known: Unavailable | None = None
    ) -> Unavailable:
        """Close the file, and tell the loop why, unless it knows."""
        if isinstance(error, Gone) and self._db and not known:
            self._empty_log()
        self._close()
        why = told_of(self._path, error)
        self._outage.note(why, error, time.monotonic())
        if known is None or why.message != known.message:
            self._call(self._ends.failed, groups, why)
        return why

    def _refuse_for(self, pause_s: float, why: Unavailable) -> None:
        """For so long, refuse what was put before the loop knew."""
        end = time.monotonic() + pause_s
        while not self._stopping:
            try:
                groups = self._handed_over.get(timeout=max(end - time.monotonic(), 0.0))
            except Empty:
                return
            if groups:
                self._call(self._ends.failed, groups, why)
            else:
                self._stopping = True

    def _open_again(self, size: int) -> Evicted:
        """Open the file and bring it to what was told; the pairs that were evicted without being told, and all that stays.

        Nothing is read of a file that isn't the writer's, and nothing written to one that has another log: an operator may
        have put it there. `size` bytes are written for a try, and what the first tick would do is done, as it could be
        what failed: else the journal would be up for some milliseconds again and again.
        """
        told, epoch, look = self._told, self._store.epoch, self._own_file.check
        look()
        # And again when it is open: the path may have come to name another one in between.
        self._db = db = connect(self._path, busy_s=RETRY_BUSY_S, look=look)
        if schema.version_of(db) != schema.VERSION or not has_log(db, epoch, told.head):
            raise Gone("it was replaced")
        look()
        take_room(db, size)
        cut(db, told.head)
        store = self._make_store(db)
        look()
        store.take_up_kept_newest(self._evictions)
        self._store = store
        self._checkpoint()
        unknown_to = self._evict_or_pass()
        self._told = self._state()
        pairs = store.pairs_after(told.floor) if store.floor > told.floor else ()
        return Evicted(pairs, self._all_kept_newest(), unknown_to)

    def _evict_or_pass(self) -> int:
        """Evict as a tick does; up to the end of damage where that is met. Up to which seq nobody knows what went."""
        db = self._connection()
        try:
            self._evict()
        except Exception as error:
            if not is_damage(error):
                raise
            if db.in_transaction:
                db.execute("ROLLBACK")
            return self._store.evict_damage(error).unknown_to
        return 0

    def _empty_log(self) -> None:
        """Move the write-ahead log into the file, which was moved away, or another one was put in its place.

        Left with frames in it, it would be taken for the log of whatever file is at the path next, and make it malformed.
        """
        try:
            self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            log.warning("the journal's write-ahead log could not be emptied: %s", error)

    def _close(self) -> None:
        db, self._db = self._db, None
        if db is None:
            return
        try:
            db.close()
        except sqlite3.Error as error:
            log.warning("the journal's file was closed with an error: %s", error)


def _pages(evicted: Evicted) -> int:
    """About how many pages an eviction writes."""
    change = evicted.change
    return 2 * (len(evicted.pairs) + len(change.added) + len(change.removed))
