"""Clients that come, read slowly, are cut off and resume, while batches are published: nothing lost, repeated
or out of order, and each gap true.

The checker is linear in the events: each client knows the place in the log up to which it has all, and what
it gets next must be the next event that its filter lets through. The journal of some courses keeps more than the
window, is slow, fails, trims, and begins new logs.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.accounting import assert_conserved
from tests.eventlog.kept import KeptJournal, window_of
from tests.hub.hubs import running_as, tcp_pair
from tests.patience import PATIENCE_S
from tests.sse import EventStreamParser, ServerSentEvent
from tocsin import Draft, EventId, Filter, Hub, Settings
from tocsin.errors import Unavailable
from tocsin.eventlog.journal import open_journal

SOAK_S = 600.0
TOPICS = ("a", "ab", "b", "c/1", "c/2", "d")
PATTERNS = ("*", "a", "a*", "ab", "b", "c/*", "c/1", "d", "nothing")
CLIENTS = 60


Logs = defaultdict[int, list[Draft]]
"""All that was published, by epoch."""


class Reader:
    """A client that comes back, and checks what it gets against the log."""

    def __init__(self, hub: Hub, logs: Logs, choose: random.Random) -> None:
        self._hub, self._logs, self._random = hub, logs, choose
        types = choose.choice([(), (), ("t",), ("t", "u")])
        self.filter = Filter(choose.sample(PATTERNS, choose.choice([0, 1, 1, 2, 3])), types)
        self.last_event_id = ""
        self.epoch = 0  # of the log that it reads
        self.place = -1  # it has all of it up to this seq
        self.gaps = 0
        self.kept = 0  # how often it began below the floor of the log
        self.connect()

    def connect(self) -> None:
        ours, self._end = tcp_pair(self._random.choice([8_192, 16_384, 65_536]))
        self._parser = EventStreamParser()
        self._is_slow = self._random.random() < 0.3
        self.is_cut = False
        newest = self._hub.kept_newest
        self._floor, self._staying = self._hub.kept.floor, set(newest.seqs if newest else ())
        self._sparse_to = 0  # as far as it was told of a gap, it gets what stays
        self.stream = self._hub.subscribe(
            ours, self.filter, last_event_id=self.last_event_id, chunked=False, presence=True
        )

    def cut(self) -> None:
        if not self.is_cut and self._random.random() < 0.5:  # with a reset
            linger = struct.pack("ii", 1, 0)
            self._end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.is_cut = True
        self._end.close()

    def read(self, *, all: bool = False) -> None:
        left = 3_000 if self._is_slow and not all else 2**24
        while left > 0:
            try:
                data = self._end.recv(65_536)
            except BlockingIOError:
                return
            except ConnectionResetError:
                data = b""
            if not data:
                self.cut()
                return
            left -= len(data)
            for event in self._parser.feed(data):
                self._take(event)

    def _take(self, event: ServerSentEvent) -> None:
        if event.type in ("gap", "presence", "busy"):
            return
        parsed = EventId.parse(event.last_event_id)
        assert parsed is not None
        if event.type == "connection":
            self._take_welcome(parsed, event.json["missed"])
            self.kept += parsed.seq < self._floor
        else:
            assert parsed.epoch == self.epoch
            assert parsed.seq > self.place, f"{parsed.seq} after {self.place}"
            assert self.is_for_me(parsed.seq), f"{parsed.seq} was not asked for"
            missing = range(self.place + 1, parsed.seq)
            lost = [seq for seq in missing if self.is_for_me(seq) and self._was_there(seq)]
            assert lost == [], f"lost before {parsed.seq}"
        self.place = parsed.seq
        self.last_event_id = event.last_event_id

    def _take_welcome(self, id: EventId, missed: int | None) -> None:
        if id.epoch != self.epoch:
            assert (missed is None) == (self.epoch > 0), "told of a new log, if it had another one"
            self.epoch = id.epoch
        elif missed == 0:
            assert id.seq == self.place
        else:
            self._sparse_to = self._floor
            lost = [
                seq for seq in range(self.place + 1, self._floor + 1) if not self._was_there(seq)
            ]
            assert any(map(self.is_for_me, lost)), "a gap that isn't"
            assert missed == (len(lost) if self.filter.is_everything else None)
            owed = range(self.place + 1, id.seq + 1)
            assert not any(self.is_for_me(seq) and self._was_there(seq) for seq in owed)
            self.gaps += 1

    def _was_there(self, seq: int) -> bool:
        """Whether the event was kept when the stream opened, as far as it was told of a gap; all is, beyond."""
        return seq > self._sparse_to or seq in self._staying

    def is_for_me(self, seq: int) -> bool:
        draft = self._logs[self.epoch][seq - 1]
        return any(self.filter.matches(topic, draft.type) for topic in draft.topics)

    def has_all(self) -> bool:
        if self.is_cut:
            self.connect()
        self.read(all=True)
        if self.is_cut or self.epoch != self._hub.ring.epoch:
            return False
        rest = range(self.place + 1, len(self._logs[self.epoch]) + 1)
        return not any(map(self.is_for_me, rest))


def some_drafts(choose: random.Random) -> list[Draft]:
    size = choose.choice([2, 50, 300, 2, 20_000])
    count = choose.choice([1, 1, 1, 5, 60]) if size < 20_000 else choose.choice([1, 5])
    drafts = []
    for _ in range(count):
        topic, *more = choose.sample(TOPICS, choose.choice([1, 1, 1, 2, 3]))
        drafts.append(Draft(choose.choice("tu"), b"1" * size, topic, more_topics=tuple(more)))
    return drafts


async def act(hub: Hub, readers: list[Reader], logs: Logs, choose: random.Random) -> None:
    """One thing that happens, and what some clients do meanwhile."""
    what = choose.random()
    if what < 0.5:
        drafts = some_drafts(choose)
        logs[hub.ring.epoch] += drafts
        await hub.publish(*drafts)
    elif what < 0.6:
        choose.choice(readers).cut()
    elif what < 0.65:
        await hub._subscriptions.tick()
    elif what < 0.67:
        await hub._subscriptions.send_heartbeats()
    for reader in choose.sample(readers, CLIENTS // 5):
        if not reader.is_cut:
            reader.read()
        elif choose.random() < 0.1:
            readers[readers.index(reader)] = Reader(hub, logs, choose)
        else:
            reader.connect()
    for _ in range(choose.choice([0, 0, 1, 3])):
        await asyncio.sleep(0)


def trouble(journal: KeptJournal, choose: random.Random, resets: float) -> None:
    """What may happen to a journal between two acts."""
    history = journal.kept
    history.turns = choose.choice([0, 1, 5, 50])
    history.looks = choose.choice([3, 50, 2_000])
    if choose.random() < 0.1:
        history.failure = Unavailable("an outage", code="journal_down")
    elif choose.random() < 0.5:
        history.failure = None
    if choose.random() < resets:
        journal.begin_epoch()


async def churn(
    seed: int,
    *,
    steps: int = 0,
    seconds: float = 0.0,
    journal: KeptJournal | None = None,
    resets: float = 0.0,
    keeping: Settings | None = None,
) -> None:
    """Act `steps` times, or for so many seconds, then let everybody read to the end.

    Args:
        seed: of what happens.
        steps: acts.
        seconds: acts go on for as long at least.
        journal: keeps more than the window, which then is small.
        resets: how likely a new log begins with each act.
        keeping: of a hub that keeps the newest of some topics, and has no such journal.
    """
    choose, logs = random.Random(seed), Logs(list)
    window: dict[str, Any] = window_of(40) if journal else {"history_events": 400}
    settings = keeping or Settings(slow_client_timeout=0.5, drain_timeout=0.2, **window)
    async with running_as(settings, open_journal(keeping) if keeping else journal) as hub:
        readers = [Reader(hub, logs, choose) for _ in range(CLIENTS)]
        ends_at, step = time.monotonic() + seconds, 0
        try:
            while step < steps or time.monotonic() < ends_at:
                step += 1
                await act(hub, readers, logs, choose)
                if journal:
                    trouble(journal, choose, resets)
                if step % 20 == 0 and not resets:
                    assert_conserved(hub)
            if journal:
                journal.kept.failure, journal.kept.turns, journal.kept.looks = None, 1, 500
            async with asyncio.timeout(PATIENCE_S * 4):
                while [reader for reader in readers if not reader.has_all()]:
                    await asyncio.sleep(0)
            if not resets:
                assert_conserved(hub)
        finally:
            print(f"seed {seed}: {step} steps, {len(logs[hub.ring.epoch])} events, {summary(hub)}")
            for reader in readers:
                reader.cut()
        assert not hub.failure.done()
        # Or else the course was too tame to show anything.
        assert min(hub.counters.closed["client"], sum(hub.counters.gaps.values())) > 0
        if journal:
            assert min(hub.counters.history_reads.values()) > 0
        if keeping:
            assert any(reader.kept for reader in readers)


def summary(hub: Hub) -> str:
    counters = hub.counters
    return (
        f"live {counters.delivered_live}, catchup {counters.delivered_catchup},"
        f" replay {counters.delivered_replay}, gaps {counters.gaps}, closed {counters.closed},"
        f" reads {counters.history_reads}"
    )


@contextmanager
def slices_of_one() -> Iterator[None]:
    """Every event, group and stream a turn of the loop of its own."""
    with (
        mock.patch("tocsin.hub.fan_out.ROUTED_AT_ONCE", 3),
        mock.patch("tocsin.hub.fan_out.SLICE", 2),
        mock.patch("tocsin.hub.fan_out.PART", 2),
        mock.patch("tocsin.hub.turns.TURN_S", 0.0),
    ):
        yield


async def test_clients_that_churn_get_everything_once_and_in_order() -> None:
    await churn(seed=1, steps=250)


async def test_clients_that_churn_between_any_two_slices_do_too() -> None:
    with slices_of_one():
        await churn(seed=2, steps=250)


async def test_clients_that_churn_over_a_journal_in_trouble_do_too() -> None:
    await churn(seed=3, steps=250, journal=KeptJournal(max_events=200))


async def test_clients_that_churn_over_a_journal_between_any_two_slices_do_too() -> None:
    with slices_of_one():
        await churn(seed=4, steps=250, journal=KeptJournal(max_events=200))


async def test_clients_that_churn_over_new_logs_do_too() -> None:
    with slices_of_one():
        await churn(seed=5, steps=250, journal=KeptJournal(max_events=200), resets=0.02)


def keeping(journal: str = "memory:", **changes: Any) -> Settings:
    """The settings of a hub that keeps the newest of some topics."""
    options = {
        "journal": journal,
        "history_events": 200,
        "keep_newest": ("c/*=5", "a=3", "d=40"),
        "keep_newest_bytes": 150_000,
        "slow_client_timeout": 0.5,
        "drain_timeout": 0.2,
    }
    return Settings(**{**options, **changes})


async def test_clients_that_churn_where_some_events_stay_do_too() -> None:
    await churn(seed=6, steps=250, keeping=keeping())


async def test_clients_that_churn_where_some_events_stay_in_a_file_do_too(tmp_path: Path) -> None:
    in_file = keeping(f"sqlite:{tmp_path / 'log.db'}", history_events=60, window_events=40)
    with slices_of_one():
        await churn(seed=7, steps=250, keeping=in_file)


@pytest.mark.soak
@pytest.mark.timeout(SOAK_S + 300)
async def test_clients_that_churn_for_minutes_do_too() -> None:
    """Prints its seed; TOCSIN_SOAK_SEED runs one again, TOCSIN_SOAK_S sets the time."""
    seed = int(os.environ.get("TOCSIN_SOAK_SEED", time.time_ns() % 1_000_000))
    seconds = float(os.environ.get("TOCSIN_SOAK_S", SOAK_S)) / 5
    await churn(seed, seconds=seconds)
    await churn(seed, seconds=seconds, keeping=keeping())
    await churn(seed, seconds=seconds, journal=KeptJournal(max_events=200))
    with slices_of_one():
        await churn(seed, seconds=seconds)
        await churn(seed, seconds=seconds, journal=KeptJournal(max_events=200), resets=0.01)
