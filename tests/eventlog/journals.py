"""Journals made for the tests, and the list of all that must pass the contract."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from tests.eventlog.appended import appended
from tests.redis.contract_store import ENDED_TOPICS, RedisStore
from tocsin.core.event import Draft, Event, EventId
from tocsin.core.filters import Filter
from tocsin.core.record import decode_record, encode_record
from tocsin.errors import Unavailable
from tocsin.eventlog.journal import (
    Append,
    Committed,
    Deliver,
    EndedTopics,
    Figures,
    Journal,
    MemoryJournal,
    Opening,
    Outcome,
    Page,
    PageBefore,
    Reset,
    Tell,
    Window,
    ended_by,
)
from tocsin.eventlog.journal.keys import Appended, KnownKeys
from tocsin.eventlog.journal.memory import KEYS, KEYS_WINDOW_S
from tocsin.eventlog.journal.sqlite import Limits, SqliteJournal


class Store(Protocol):
    """Where journals of one kind keep their log, and what a test can do to it.

    Attributes:
        is_durable: whether a log that is opened again is the same log.
        has_outages: whether `break_down` does anything.
        has_resets: whether `begin_epoch` does anything.
    """

    is_durable: bool
    has_outages: bool
    has_resets: bool

    def open(self) -> Journal:
        """A journal on this store, not started; one at a time."""

    async def crash(self, *, committed: Sequence[Draft] = ()) -> None:
        """End the open journal as `kill -9` does, after it committed these and before it delivered them."""

    def break_down(self, reason: str) -> None:
        """Let appends fail from here on; an empty reason ends that."""

    def begin_epoch(self) -> None:
        """Let the log be replaced by a new one, which is empty, while the journal runs."""


class MemoryStore:
    """`memory:`, whose clock moves a second with each look, and back at times."""

    is_durable = has_outages = has_resets = False

    def __init__(self) -> None:
        self._clock = unsteady_clock()

    def open(self) -> Journal:
        return MemoryJournal(self._clock, ended_topics=ENDED_TOPICS)

    async def crash(self, *, committed: Sequence[Draft] = ()) -> None:
        pass

    def break_down(self, reason: str) -> None:
        pass

    def begin_epoch(self) -> None:
        pass


class SqliteStore:
    """`sqlite:` in a folder of its own, with the same unsteady clock."""

    is_durable = True
    has_outages = has_resets = False

    def __init__(self) -> None:
        self._clock = unsteady_clock()
        folder = tempfile.mkdtemp()
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._path = Path(folder) / "journal.db"
        self._journal: SqliteJournal | None = None

    def open(self) -> Journal:
        limits = Limits(ended_topics=ENDED_TOPICS)
        self._journal = SqliteJournal(self._path, limits, clock=self._clock)
        return self._journal

    async def crash(self, *, committed: Sequence[Draft] = ()) -> None:
        """Go on with copies of the files as they are now, which is what `kill -9` leaves."""
        assert self._journal
        writer = self._journal._writer  # tells nobody of what it commits while the files are copied
        writer._ends = writer._ends._replace(written=lambda written: None)
        old = self._path
        self._path = old.with_name("next-" + old.name)
        for suffix in ("-wal", ""):
            copy = self._path.with_name(self._path.name + suffix)
            copy.write_bytes(old.with_name(old.name + suffix).read_bytes())
        await self._journal.stop()
        if committed:
            journal = SqliteJournal(self._path, Limits(), clock=self._clock)
            await journal.start(lambda events: None, lambda opening: None, Window(1, 1))
            await appended(journal, [Append(committed)])
            await journal.stop()

    def break_down(self, reason: str) -> None:
        pass

    def begin_epoch(self) -> None:
        pass


class ListStore:
    """A "disk" that is a list of records.

    Args:
        turns: of the loop that a commit takes; what comes in meanwhile is committed next, as one.
    """

    is_durable = has_outages = has_resets = True

    def __init__(self, turns: int = 0) -> None:
        self.turns = turns
        self.clock = unsteady_clock()
        self.epoch = 1_000
        self.records: list[bytes] = []
        self.keys = KnownKeys(KEYS, KEYS_WINDOW_S)
        self.ended = EndedTopics(ENDED_TOPICS)
        self.now = 0.0
        self.outage = ""
        self.journal: ListJournal | None = None

    def open(self) -> Journal:
        self.journal = ListJournal(self)
        return self.journal

    async def crash(self, *, committed: Sequence[Draft] = ()) -> None:
        assert self.journal
        self.journal.kill()
        self.commit(committed)

    def break_down(self, reason: str) -> None:
        self.outage = reason

    def begin_epoch(self) -> None:
        self.epoch += 1
        self.records = []
        self.ended = EndedTopics(ENDED_TOPICS)
        if self.journal:
            self.journal.begin_epoch()

    def commit_group(self, appends: Sequence[Append]) -> tuple[list[Outcome], list[Event]]:
        """What came of each append of a group, and the new events."""
        outcomes: list[Outcome] = []
        events: list[Event] = []
        for append in appends:
            once = append.once
            known = self.keys.find(once, self.now) if once else None
            if once and known:
                outcomes.append(known.outcome(once))
                continue
            refusal = self.ended.refuse(append.drafts)
            if refusal:
                outcomes.append(refusal)
                continue
            new = self.commit(append.drafts)
            ids = [event.id for event in new]
            if once and ids:
                appended = Appended(once.digest, ids[0], len(ids), self.now)
                self.keys.add({(once.scope, once.key): appended})
            outcomes.append(Committed(ids))
            events += new
        return outcomes, events

    def commit(self, drafts: Sequence[Draft]) -> list[Event]:
        """Write the next records, all in one step."""
        now = self.now = max(self.clock(), self.now)
        seqs = range(len(self.records) + 1, len(self.records) + 1 + len(drafts))
        events = [
            Event(EventId(self.epoch, seq), draft, now)
            for seq, draft in zip(seqs, drafts, strict=True)
        ]
        self.records += [encode_record(event) for event in events]
        self.ended.add(ended_by(events))
        return events


class ListJournal:
    """A journal whose commits take turns of the loop, and fail while its store is broken."""

    nodes = None
    figures = Figures()

    def __init__(self, store: ListStore) -> None:
        self.history = ListHistory(store)
        self._store = store
        self._waiting: list[tuple[Sequence[Append], Tell]] = []
        self._committer: asyncio.Task[None] | None = None
        self._deliver: Deliver | None = None
        self._reset: Reset | None = None

    @property
    def status(self) -> str:
        if self._deliver is None:
            return "the journal is not started"
        return self._store.outage

    async def start(self, deliver: Deliver, reset: Reset, window: Window) -> Opening:
        self._deliver, self._reset = deliver, reset
        records = self._store.records
        first = max(len(records) - window.events, 0)
        events = [decode_record(record) for record in records[first:]]
        return Opening(EventId(self._store.epoch, first), events, self._store.ended.all)

    def append(self, appends: Sequence[Append], tell: Tell) -> None:
        if self._deliver is None:
            raise Unavailable(self.status, code="journal_down")
        self._waiting.append((appends, tell))
        if self._committer is None:
            self._committer = asyncio.create_task(self._commit())

    async def stop(self) -> None:
        if self._committer:
            await self._committer
        self._deliver = None

    def kill(self) -> None:
        if self._committer:
            self._committer.cancel()
        self._waiting = []
        self._deliver = None

    def begin_epoch(self) -> None:
        assert self._reset
        self._reset(Opening(EventId(self._store.epoch, 0)))

    async def _commit(self) -> None:
        while self._waiting:
            for _ in range(self._store.turns):
                await asyncio.sleep(0)
            groups, self._waiting = self._waiting, []
            for appends, tell in groups:
                self._commit_group(appends, tell)
        self._committer = None

    def _commit_group(self, appends: Sequence[Append], tell: Tell) -> None:
        assert self._deliver
        if self._store.outage:
            tell(Unavailable(self._store.outage, code="journal_down"))
            return
        outcomes, events = self._store.commit_group(appends)
        self._deliver(events)
        tell(outcomes)


class ListHistory:
    """All that the store has of the present epoch."""

    floor = 0
    may_be_ahead = False
    kept_newest = None

    def __init__(self, store: ListStore) -> None:
        self._store = store

    @property
    def events(self) -> int:
        return len(self._store.records)

    @property
    def bytes(self) -> int:
        return sum(map(len, self._store.records))

    @property
    def oldest_time(self) -> float | None:
        return decode_record(self._store.records[0]).time if self._store.records else None

    def has_lost(self, seq: int, filter: Filter) -> bool:
        return False

    async def read(self, after: int, filter: Filter, *, max_events: int, max_bytes: int) -> Page:
        events: list[Event] = []
        cursor = after
        for record in self._store.records[after:]:
            event = decode_record(record)
            cursor = event.id.seq
            if lets_through(filter, event):
                events.append(event)
                max_bytes -= len(event.draft.data)
            if len(events) == max_events or max_bytes <= 0:
                break
        return Page(events, cursor)

    async def newest(
        self, filter: Filter, count: int, *, max_bytes: int, before: int
    ) -> PageBefore:
        events = [decode_record(record) for record in self._store.records[: before - 1]]
        found = [event for event in events if lets_through(filter, event)]
        return PageBefore(found[-count:], found[-count].id.seq if len(found) >= count else 1)


def lets_through(filter: Filter, event: Event) -> bool:
    """Whether `filter` lets `event` through."""
    draft = event.draft
    return filter.matches(draft.topic, draft.type, draft.more_topics)


def unsteady_clock() -> Callable[[], float]:
    """Unix time that jumps ahead and back."""
    steps = itertools.cycle([1.0, 3_600.0, 1.0, -7_000.0, 1.0])
    times = itertools.accumulate(steps, initial=1_000_000.0)
    return lambda: next(times)


STORES: dict[str, Callable[[], Store]] = {
    "memory": MemoryStore,
    "sqlite": SqliteStore,
    "failing": ListStore,
    "slow": lambda: ListStore(turns=5),
    "redis": RedisStore,
}
"""Each kind of journal, by name. A new journal is held to the contract by a line here."""
