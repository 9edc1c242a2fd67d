"""What the journal in a file keeps, lets go and remembers. What every journal promises: the contract's tests."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from tests.eventlog import version_4
from tests.eventlog.appended import appended
from tests.patience import PATIENCE_S, wait_until
from tests.serving import eventually
from tocsin.core.event import Draft, Event, EventId
from tocsin.core.filters import EVERYTHING, Filter
from tocsin.errors import SettingsError, Unavailable
from tocsin.eventlog.journal import Append, Committed, Once, Opening, Window
from tocsin.eventlog.journal.sqlite import Limits, SqliteJournal, journal, under_way
from tocsin.eventlog.journal.sqlite.file import connect
from tocsin.eventlog.journal.sqlite.gathering import MOST_EVENTS
from tocsin.eventlog.journal.sqlite.kept_newest import NO_CHANGE
from tocsin.eventlog.journal.sqlite.outage import DAMAGED
from tocsin.eventlog.journal.sqlite.own_file import Gone
from tocsin.eventlog.journal.sqlite.schema import upgrade
from tocsin.eventlog.journal.sqlite.store import Evicted, cut, has_log
from tocsin.eventlog.journal.sqlite.under_way import HANGS_S, LOOK_S, UnderWay


class Clock:
    """Unix time and a clock that can't be set, both moved by hand."""

    def __init__(self) -> None:
        self.wall = 1_000_000.0
        self.steady = 50.0

    def move(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


class Log:
    """A journal in `folder`, with what it delivered."""

    def __init__(self, folder: Path, clock: Clock | None = None, **limits: float) -> None:
        self.clock = clock or Clock()
        self.path = folder / "journal.db"
        self.journal = SqliteJournal(
            self.path,
            Limits(**limits),  # type: ignore[arg-type]
            clock=lambda: self.clock.wall,
            monotonic=lambda: self.clock.steady,
        )
        self.delivered: list[Event] = []

    async def start(self, events: int = 1_000, bytes: int = 2**30) -> Opening:
        window = Window(events, bytes)
        return await self.journal.start(self.delivered.extend, lambda opening: None, window)

    async def append(self, *drafts: Draft, once: Once | None = None) -> Committed:
        (outcome,) = await appended(self.journal, [Append(drafts, once)])
        assert isinstance(outcome, Committed)
        return outcome

    @property
    def history(self):  # type: ignore[no-untyped-def]
        assert self.journal.history
        return self.journal.history

    async def read_all(self, after: int, filter: Filter = EVERYTHING) -> list[Event]:
        found: list[Event] = []
        while after < self.history.head:
            page = await self.history.read(after, filter, max_events=500, max_bytes=65_536)
            assert page.cursor > after
            found += page.events
            after = page.cursor
        return found


def ticks(count: int, topic: str = "t/1", type: str = "tick", size: int = 10) -> list[Draft]:
    return [Draft(type, b"x" * size, topic) for _ in range(count)]


def seqs(events: Sequence[Event]) -> list[int]:
    return [event.id.seq for event in events]


# --- what is kept ---------------------------------------------------------------------------------


async def test_history_keeps_to_its_limit_by_count(tmp_path: Path) -> None:
    log = Log(tmp_path, events=500)
    await log.start()
    for _ in range(20):
        await log.append(*ticks(100))
    await eventually(lambda: log.history.events <= 503)
    assert log.history.head == 2_000
    assert seqs(await log.read_all(log.history.floor)) == [*range(log.history.floor + 1, 2_001)]
    await log.journal.stop()


async def test_history_keeps_to_its_limit_by_bytes(tmp_path: Path) -> None:
    log = Log(tmp_path, bytes=100_000)
    await log.start()
    for _ in range(50):
        await log.append(*ticks(10, size=1_000))
    await eventually(lambda: log.history.bytes <= 101_000)
    assert log.history.events >= 90
    await log.journal.stop()


async def test_old_events_go_by_a_clock_that_cannot_be_set(tmp_path: Path) -> None:
    log = Log(tmp_path, age_s=100.0)
    await log.start()
    await log.append(*ticks(10))
    await asyncio.sleep(1.1)  # a tick of the writer, which notes when these were there
    log.clock.move(90.0)
    await log.append(*ticks(5))
    log.clock.wall += 86_400.0
    log.clock.steady += 15.0
    await eventually(lambda: log.history.floor == 10)
    assert log.history.events == 5
    await log.journal.stop()


async def test_log_that_seems_too_old_at_the_start_goes_a_minute_at_a_time(tmp_path: Path) -> None:
    log = Log(tmp_path, age_s=3_600.0)
    await log.start()
    for _ in range(10):
        await log.append(*ticks(1))
        log.clock.move(50.0)
    await log.journal.stop()
    log.clock.wall += 86_400.0
    again = Log(tmp_path, log.clock, age_s=3_600.0)
    await again.start()
    await eventually(lambda: again.history.floor > 0)
    assert (
        again.history.floor % 2 == 0
    )  # two events a look; there may have been a second look by now
    assert again.history.floor < 10
    await again.journal.stop()


async def test_what_was_stamped_by_a_clock_that_was_ahead_ages_from_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log(tmp_path, age_s=100.0)
    log.clock.wall += 30 * 86_400.0
    await log.start()
    await log.append(*ticks(10))
    await log.journal.stop()
    log.clock.wall -= 30 * 86_400.0
    assert caplog.messages == []
    again = Log(tmp_path, log.clock, age_s=100.0)
    await again.start()
    assert ["ahead of the clock" in said for said in caplog.messages] == [True]
    await again.append(*ticks(5))
    await asyncio.sleep(1.1)  # a tick of the writer, which notes when these were there
    log.clock.move(90.0)
    await asyncio.sleep(1.1)
    assert again.history.floor == 0
    log.clock.move(10.0)
    await eventually(lambda: again.history.floor == 15)
    await again.journal.stop()


async def test_clock_that_was_hardly_ahead_is_no_matter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log(tmp_path)
    await log.start()
    await log.append(*ticks(1))
    await log.journal.stop()
    log.clock.wall -= 59.0
    again = Log(tmp_path, log.clock)
    await again.start()
    await again.journal.stop()
    assert caplog.messages == []


async def test_only_the_newest_window_is_loaded(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    await log.append(*ticks(100, size=1_000))
    await log.journal.stop()
    for window, floor in (((30, 2**30), 70), ((1_000, 20_000), 81), ((1_000, 10), 100)):
        again = Log(tmp_path)
        opening = await again.start(*window)
        assert opening.floor.seq == floor
        assert seqs(opening.events) == [*range(floor + 1, 101)]
        assert (again.history.floor, again.history.events) == (0, 100)
        await again.journal.stop()


async def test_file_shrinks_when_less_is_to_be_kept(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    dice = random.Random(1)
    for _ in range(20):  # nothing of which is made shorter by compression
        await log.append(*[Draft("tick", dice.randbytes(1_000)) for _ in range(1_000)])
    await log.journal.stop()
    large = log.path.stat().st_size
    small = Log(tmp_path, events=100)
    await small.start()
    await eventually(lambda: small.history.events <= 100)
    await eventually(lambda: free_pages(small.path) < 750)
    await small.journal.stop()
    assert large > 20_000_000
    assert small.path.stat().st_size < large / 2
    assert not small.path.with_name("journal.db-wal").exists()


def free_pages(path: Path) -> int:
    db = connect(path)
    try:
        return int(db.execute("PRAGMA freelist_count").fetchone()[0])
    finally:
        db.close()


# --- what was lost --------------------------------------------------------------------------------


async def test_loss_is_told_of_the_topics_and_types_that_it_befell(tmp_path: Path) -> None:
    log = Log(tmp_path, events=100)
    await log.start()
    await log.append(*ticks(1, "quiet"), Draft("tick", b"x", "one", more_topics=("two",)))
    for _ in range(10):
        await log.append(*ticks(50, "loud", "tock"))
    await eventually(lambda: log.history.floor >= 400)

    def check(history) -> None:  # type: ignore[no-untyped-def]
        assert history.has_lost(1, EVERYTHING)
        assert [history.has_lost(0, Filter([topic])) for topic in ("quiet", "two", "none")] == [
            True,
            True,
            False,
        ]
        assert not history.has_lost(1, Filter(["quiet"]))
        assert not history.has_lost(2, Filter(["one", "two"]))
        assert history.has_lost(2, Filter(["lo*"]))
        assert not history.has_lost(2, Filter(types=["tick"]))
        assert not history.has_lost(history.floor, EVERYTHING)

    check(log.history)
    await log.journal.stop()
    again = Log(tmp_path, events=100)
    await again.start()
    check(again.history)
    await again.journal.stop()


async def test_no_more_pairs_are_remembered_than_the_limit_says(tmp_path: Path) -> None:
    log = Log(tmp_path, events=10, remembered_evictions=50)
    await log.start()
    for n in range(40):
        await log.append(*[Draft("tick", b"x", f"t/{n}/{k}") for k in range(20)])
    await eventually(lambda: log.history.events <= 10)
    await log.journal.stop()
    db = connect(log.path)
    assert db.execute("SELECT count(*) FROM evicted").fetchone()[0] < 200
    db.close()
    again = Log(tmp_path, events=10, remembered_evictions=50)
    await again.start()
    floor = again.history.floor
    assert not again.history.has_lost(floor - 10, Filter(["none"]))
    assert again.history.has_lost(0, Filter(["none"]))  # in doubt
    await again.journal.stop()


# --- reading --------------------------------------------------------------------------------------


async def test_filtered_read_finds_what_the_filter_lets_through(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    for n in range(300):
        await log.append(
            Draft("tick", b"%d" % n, f"t/{n % 7}", more_topics=("m/1",) if n % 5 == 0 else ()),
            Draft("tock", b"%d" % n, f"u/{n % 3}"),
        )
    for filter in (
        Filter(["t/3"]),
        Filter(["t/*", "u/1"]),
        Filter(["m/*"]),
        Filter(["m/1"], ["tock"]),
        Filter(types=["tock"]),
        Filter(["*"], ["tick"]),
        Filter(["none"]),
    ):
        wanted = [
            event.id.seq
            for event in log.delivered
            if filter.matches(event.draft.topic, event.draft.type, event.draft.more_topics)
        ]
        assert seqs(await log.read_all(0, filter)) == wanted
        newest = await log.history.newest(filter, 25, max_bytes=10**6, before=500)
        assert seqs(newest.events) == [seq for seq in wanted if seq < 500][-25:]
    await log.journal.stop()


async def test_page_ends_behind_the_event_that_fills_it(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    await log.append(*ticks(5, size=40_000), *ticks(100))
    page = await log.history.read(0, EVERYTHING, max_events=500, max_bytes=65_536)
    assert (seqs(page.events), page.cursor) == ([1, 2], 2)
    page = await log.history.read(5, EVERYTHING, max_events=7, max_bytes=65_536)
    assert (seqs(page.events), page.cursor) == ([*range(6, 13)], 12)
    page = await log.history.read(105, EVERYTHING, max_events=7, max_bytes=65_536)
    assert (seqs(page.events), page.cursor) == ([], 105)
    few = await log.history.newest(EVERYTHING, 50, max_bytes=80_000, before=6)
    assert (seqs(few.events), few.before) == ([4, 5], 4)
    await log.journal.stop()


async def test_search_back_is_bounded_and_says_how_far_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.eventlog.journal.sqlite.history.NEWEST_ROWS", 100)
    monkeypatch.setattr("tocsin.eventlog.journal.sqlite.search.SCAN_EVENTS", 40)
    log = Log(tmp_path)
    await log.start()
    await log.append(Draft("tick", b"x", "rare"), *ticks(300))
    before, found = [302], []
    while before[-1] > 1:
        page = await log.history.newest(Filter(["rare"]), 9, max_bytes=10**6, before=before[-1])
        before.append(page.before)
        found += seqs(page.events)
    assert (before, found) == ([302, 182, 62, 1], [1])
    await log.journal.stop()


async def test_search_back_waits_until_the_loop_knows_what_the_file_has_evicted(
    tmp_path: Path,
) -> None:
    log = Log(tmp_path, events=10)
    await log.start()
    await log.append(*ticks(40))
    history = log.history
    await eventually(lambda: history.floor > 5)
    floor, history.floor = history.floor, 5  # as before it was told
    asyncio.get_running_loop().call_later(0.05, setattr, history, "floor", floor)
    page = await history.newest(EVERYTHING, 99, max_bytes=10**6, before=floor + 1)
    assert (page.events, page.before) == ([], floor + 1)
    assert history.floor == floor
    await log.journal.stop()


async def test_reading_after_the_stop_is_refused(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    await log.journal.stop()
    with pytest.raises(Unavailable):
        await log.history.read(0, EVERYTHING, max_events=1, max_bytes=1)


async def test_large_events_are_passed_in_bounded_pieces(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    for _ in range(10):
        await log.append(*ticks(10, size=60_000))
    page = await log.history.read(0, Filter(["none"]), max_events=500, max_bytes=65_536)
    assert 60 <= page.cursor < 75
    assert await log.read_all(0, Filter(["none"])) == []
    await log.journal.stop()


# --- keys -----------------------------------------------------------------------------------------


async def test_key_is_forgotten_after_its_window(tmp_path: Path) -> None:
    log = Log(tmp_path, key_window_s=100.0)
    await log.start()
    once = Once("", "k", b"1" * 16)
    await log.append(*ticks(1), once=once)
    log.clock.move(99.0)
    assert (await log.append(*ticks(1), once=once)).is_duplicate
    log.clock.wall += 86_400.0  # setting the clock changes nothing
    assert (await log.append(*ticks(1), once=once)).is_duplicate
    log.clock.move(2.0)
    assert not (await log.append(*ticks(1), once=once)).is_duplicate
    assert (await log.append(*ticks(1), once=once)).is_duplicate
    await log.journal.stop()


async def test_no_more_keys_are_kept_than_the_limit_says(tmp_path: Path) -> None:
    log = Log(tmp_path, keys=10)
    await log.start()
    keys = [Once("", f"{n}", b"1" * 16) for n in range(30)]
    for once in keys:
        await log.append(*ticks(1), once=once)
    assert (await log.append(*ticks(1), once=keys[20])).is_duplicate
    assert not (await log.append(*ticks(1), once=keys[19])).is_duplicate
    await log.journal.stop()
    db = connect(log.path)
    assert db.execute("SELECT count(*) FROM keys").fetchone()[0] == 10
    db.close()


async def test_old_keys_leave_the_file(tmp_path: Path) -> None:
    log = Log(tmp_path, key_window_s=10.0)
    await log.start()
    await log.append(*ticks(1), once=Once("", "k", b"1" * 16))
    log.clock.move(11.0)
    db = connect(log.path)
    await eventually(lambda: not db.execute("SELECT count(*) FROM keys").fetchone()[0])
    db.close()
    await log.journal.stop()


# --- the file while it is used --------------------------------------------------------------------


async def test_file_that_another_program_holds_is_waited_for_and_then_refused(
    tmp_path: Path,
) -> None:
    log = Log(tmp_path)
    await log.start()
    other = sqlite3.connect(log.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    turns = 0
    future = appended(log.journal, [Append(ticks(1))])
    later = appended(log.journal, [Append(ticks(1))])
    while not (future.done() and later.done()):
        await asyncio.sleep(0.001)
        turns += 1
    for each in (future, later):
        with pytest.raises(Unavailable) as caught:
            each.result()
        assert (caught.value.code, caught.value.status) == ("journal_down", 503)
    assert turns > 100  # the loop went on meanwhile
    assert "another program" in log.journal.status
    with pytest.raises(Unavailable):
        appended(log.journal, [Append(ticks(1))])
    other.execute("ROLLBACK")
    other.close()
    await eventually(lambda: not log.journal.status)
    assert (await log.append(*ticks(1))).ids[0].seq == 1
    await log.journal.stop()


async def test_file_that_is_moved_away_is_missed(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    await log.append(*ticks(3))
    away = log.path.with_name("away")
    log.path.rename(away)
    await eventually(lambda: log.journal.status)
    away.rename(log.path)
    await eventually(lambda: not log.journal.status)
    assert (await log.append(*ticks(1))).ids[0].seq == 4
    await log.journal.stop()


async def other_log(folder: Path) -> Path:
    """The file of a log of another epoch, longer than any here, as after a clean end."""
    folder.mkdir(mode=0o700)
    log = Log(folder)
    await log.start()
    for _ in range(5):
        await log.append(*ticks(100))
    await log.journal.stop()
    return log.path


async def log_in_use(folder: Path) -> Log:
    """A log of which a part is in the file, and a part in the write-ahead log alone."""
    log = Log(folder)
    await log.start()
    await log.append(*ticks(3))
    await log.journal.stop()
    log = Log(folder)
    await log.start()
    await log.append(*ticks(1))
    return log


def put_in_place(other: Path, path: Path, keeps_old_log: bool) -> None:
    other.rename(path)
    if not keeps_old_log:
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink()


def state_of(path: Path) -> tuple[str, int]:
    """What SQLite finds wrong with the file, and how many events are in it."""
    db = connect(path)
    (found,) = db.execute("PRAGMA integrity_check").fetchone()
    (events,) = db.execute("SELECT sum(events) FROM segments").fetchone()
    db.close()
    return found, events


@pytest.mark.parametrize("keeps_old_log", [False, True])
async def test_other_log_that_is_put_in_its_place_is_left_as_it_is(
    tmp_path: Path, keeps_old_log: bool
) -> None:
    other = await other_log(tmp_path / "other")
    before = other.read_bytes()
    log = await log_in_use(tmp_path)
    put_in_place(other, log.path, keeps_old_log)
    await eventually(lambda: "replaced" in log.journal.status)
    await asyncio.sleep(0.5)  # it is looked at again meanwhile
    with pytest.raises(Unavailable):
        appended(log.journal, [Append(ticks(1))])
    assert "replaced" in log.journal.status
    await log.journal.stop()
    assert log.path.read_bytes() == before
    assert state_of(log.path) == ("ok", 500)


async def test_other_log_that_is_put_in_its_place_is_not_read(tmp_path: Path) -> None:
    other = await other_log(tmp_path / "other")
    log = await log_in_use(tmp_path)
    put_in_place(other, log.path, keeps_old_log=False)
    await eventually(lambda: "replaced" in log.journal.status)
    with pytest.raises(Unavailable):
        await log.read_all(0)
    assert not log.path.with_name("journal.db-shm").exists()  # SQLite has looked at nothing
    await log.journal.stop()


async def test_other_log_that_is_put_in_its_place_just_before_the_stop_is_left_as_it_is(
    tmp_path: Path,
) -> None:
    other = await other_log(tmp_path / "other")
    log = await log_in_use(tmp_path)
    put_in_place(other, log.path, keeps_old_log=True)
    await log.journal.stop()
    assert state_of(log.path) == ("ok", 500)


async def test_file_that_is_put_back_goes_on(tmp_path: Path) -> None:
    other = await other_log(tmp_path / "other")
    log = await log_in_use(tmp_path)
    away = log.path.with_name("away")
    log.path.rename(away)
    put_in_place(other, log.path, keeps_old_log=True)
    await eventually(lambda: "replaced" in log.journal.status)
    log.path.rename(other)
    away.rename(log.path)
    await eventually(lambda: not log.journal.status)
    assert (await log.append(*ticks(1))).ids[0].seq == 5
    await log.journal.stop()
    assert state_of(log.path) == ("ok", 5)


async def test_file_that_is_another_when_it_is_open_is_not_read(tmp_path: Path) -> None:
    log = await log_in_use(tmp_path)
    copies = []
    for suffix in ("", "-wal"):
        copy = tmp_path / f"copy{suffix}"
        copy.write_bytes(log.path.with_name(log.path.name + suffix).read_bytes())
        copies.append((copy, copy.read_bytes()))

    def look() -> None:
        raise Gone("it was replaced")

    with pytest.raises(Gone):
        connect(copies[0][0], look=look)
    assert [copy.read_bytes() for copy, _ in copies] == [before for _, before in copies]
    await log.journal.stop()


async def test_what_is_taken_back_leaves_the_mark_of_a_copy(tmp_path: Path) -> None:
    log = Log(tmp_path)
    epoch = (await log.start()).floor.epoch
    await log.append(*ticks(3))
    await log.append(*ticks(3))
    await log.journal.stop()
    db = connect(log.path)
    assert [has_log(db, epoch, head) for head in (3, 6, 4, 7)] == [True, True, False, False]
    assert not has_log(db, epoch + 1, 6)
    db.execute("UPDATE log SET is_copy = 1")
    assert not has_log(db, epoch, 6)
    cut(db, 3)
    assert db.execute("SELECT is_copy FROM log").fetchone() == (1,)
    db.close()


async def test_damage_that_an_eviction_meets_is_one_outage_and_is_said_in_our_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log(tmp_path)
    await log.start()
    for _ in range(10):
        await log.append(*ticks(1, topic="secret"))
    await log.journal.stop()
    db = connect(log.path)
    db.execute("UPDATE segments SET topics = CAST(topics || x'ff' AS TEXT) WHERE last = 2")
    db.close()
    # What stays of these can't be decided, so they can't go.
    log = Log(tmp_path, events=5, keep_newest=(("secret", 1),))  # type: ignore[arg-type]
    await log.start()
    await eventually(lambda: log.journal.status)
    for _ in range(20):
        await asyncio.sleep(0.05)
        with pytest.raises(Unavailable) as caught:
            appended(log.journal, [Append(ticks(1))])
        assert caught.value.message == log.journal.status == DAMAGED
    await log.journal.stop()
    (said,) = [line for line in caplog.messages if "journal is" in line]
    assert len(said) < 400
    assert not any(record.exc_info for record in caplog.records)


async def test_commit_that_failed_but_is_in_the_file_is_taken_back(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    await log.append(*ticks(2))
    writer: Any = log.journal._writer
    tell = writer._tell

    def fail(*written: object) -> None:
        writer._tell = tell
        raise sqlite3.OperationalError("disk I/O error")

    writer._tell = fail
    with pytest.raises(Unavailable):
        await appended(log.journal, [Append(ticks(5), Once("", "k", b"1" * 16))])
    await eventually(lambda: not log.journal.status)
    again = await log.append(*ticks(1), once=Once("", "k", b"2" * 16))
    assert again == Committed([EventId(log.delivered[0].id.epoch, 3)])
    assert seqs(log.delivered) == seqs(await log.read_all(0)) == [1, 2, 3]
    await log.journal.stop()


class HeldWriter:
    """Holds the writer of a log up in its next transaction, as a disk does that hangs; `how` it fails behind that, if it does."""

    def __init__(self, log: Log, how: Exception | None = None) -> None:
        self._writer = cast("Any", log.journal._writer)
        self._commit: Any = self._writer._commit
        self._writer._commit = self._hold
        self._how = how
        self.goes_on = threading.Event()

    def _hold(self, groups: Any) -> None:
        self.goes_on.wait(PATIENCE_S)
        self._writer._commit = self._commit
        if self._how:
            raise self._how
        self._commit(groups)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a disk hang after a quarter of a second, and a stop wait for it for half of one."""
    monkeypatch.setattr(under_way, "HANGS_S", 0.25)
    monkeypatch.setattr(under_way, "LOOK_S", 0.05)
    monkeypatch.setattr(journal, "LOOK_S", 0.05)
    monkeypatch.setattr(journal, "STOP_S", 0.5)
    monkeypatch.setattr(journal, "READER_STOP_S", 0.1)


async def code_of(future: asyncio.Future[Any]) -> str:
    with pytest.raises(Unavailable) as caught:
        await future
    return caught.value.code


@pytest.mark.usefixtures("impatient")
async def test_transaction_of_a_disk_that_hangs_is_delivered_when_it_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log(tmp_path)
    await log.start()
    await log.append(*ticks(1))
    held = HeldWriter(log)
    once = Once("", "k", b"1" * 16)
    first = appended(log.journal, [Append(ticks(2), once)])
    second = appended(log.journal, [Append(ticks(1))])
    assert await code_of(first) == "unknown_outcome"
    assert await code_of(second) == "journal_down"
    assert log.journal.status == journal.HANGS
    with pytest.raises(Unavailable):
        appended(log.journal, [Append(ticks(1))])
    held.goes_on.set()
    await eventually(lambda: not log.journal.status)
    assert seqs(log.delivered) == [1, 2, 3]
    again = await log.append(*ticks(2), once=once)
    assert (again.is_duplicate, again.ids[0].seq) == (True, 2)
    assert (await log.append(*ticks(1))).ids[0].seq == 4
    assert ["down" in said for said in caplog.messages] == [True, False]
    await log.journal.stop()


@pytest.mark.usefixtures("impatient")
async def test_transaction_of_a_disk_that_hangs_may_fail_at_last(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    held = HeldWriter(log, sqlite3.OperationalError("disk I/O error"))
    first = appended(log.journal, [Append(ticks(2))])
    assert await code_of(first) == "unknown_outcome"
    held.goes_on.set()
    await eventually(lambda: log.journal.figures.reconnects and not log.journal.status)
    assert (await log.append(*ticks(1))).ids[0].seq == 1
    assert seqs(log.delivered) == [1]
    await log.journal.stop()


@pytest.mark.usefixtures("impatient")
async def test_stop_leaves_a_disk_that_hangs_to_the_writers_thread(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    held = HeldWriter(log)
    first = appended(log.journal, [Append(ticks(2))])
    await log.journal.stop()
    assert await code_of(first) == "unknown_outcome"
    with pytest.raises(SettingsError):  # the thread may write yet
        await Log(tmp_path).start()
    held.goes_on.set()
    await eventually(lambda: log.journal._lock is None)
    later = Log(tmp_path)
    assert seqs((await later.start()).events) == [1, 2]
    await later.journal.stop()


async def test_journal_that_is_stopped_stays_so_though_its_writer_recovers(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    await log.journal.stop()
    log.journal._on_failed((), Unavailable("the disk failed", code="journal_down"))
    log.journal._on_recovered(log.journal._writer._told, Evicted((), NO_CHANGE))
    assert log.journal.status == "the journal is stopped"


def test_step_is_old_by_the_looks_at_it_not_by_the_clock() -> None:
    watched = UnderWay()
    looks = int(HANGS_S / LOOK_S)
    assert [watched.hangs_in(7.0) for _ in range(looks)] == [False] * looks
    assert watched.hangs_in(7.0)
    assert not watched.hangs_in(8.0)
    assert [watched.hangs_in(0.0) for _ in range(2 * looks)] == [False] * 2 * looks


async def test_files_are_for_the_hubs_user_alone(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    await log.append(*ticks(1))
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes == dict.fromkeys(
        ["journal.db", "journal.db-wal", "journal.db-shm", "journal.db.lock"], 0o600
    )
    await log.journal.stop()


# --- versions -------------------------------------------------------------------------------------


async def test_file_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    events = version_4.events_of(7_000, ticks(3), at_once=1)
    version_4.write(path, 7_000, events)
    # As version 1 was: without the tables of keys, of ended topics, and of what stays below the log.
    db = connect(path)
    db.execute("DROP TABLE keys")
    db.execute("DROP TABLE ended")
    db.execute("DROP TABLE kept")
    db.execute("PRAGMA user_version = 1")
    db.close()
    again = Log(tmp_path)
    opening = await again.start()
    assert opening.events == events
    once = Once("", "k", b"1" * 16)
    assert not (await again.append(*ticks(1), once=once)).is_duplicate
    assert (await again.append(*ticks(1), once=once)).is_duplicate
    await again.journal.stop()


def test_version_before_is_what_it_is_made_from(tmp_path: Path) -> None:
    def tables(version: int) -> set[str]:
        path = tmp_path / f"{version}.db"
        path.touch()
        db = connect(path)
        upgrade(db, 1, version)
        found = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        db.close()
        return found

    assert tables(1) == {"log", "events", "evicted"}
    assert tables(2) - tables(1) == {"keys"}
    assert tables(3) - tables(2) == {"ended"}
    assert tables(4) - tables(3) == {"kept"}
    assert tables(4) ^ tables(5) == {"events", "segments"}


async def test_copy_that_is_put_in_place_goes_on_as_another_log(tmp_path: Path) -> None:
    log = Log(tmp_path)
    opening = await log.start()
    await log.append(*ticks(3))
    await log.journal.stop()
    db = connect(log.path)
    db.execute("UPDATE log SET is_copy = 1")
    db.close()
    again = Log(tmp_path)
    later = await again.start()
    assert later.floor.epoch > opening.floor.epoch
    assert [event.id for event in later.events] == [
        EventId(later.floor.epoch, seq) for seq in (1, 2, 3)
    ]
    await again.journal.stop()
    third = Log(tmp_path)
    assert (await third.start()).floor == later.floor
    await third.journal.stop()


async def test_what_is_evicted_before_the_start_goes_on_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Log(tmp_path)
    await before.start()
    await before.append(*[Draft("tick", b"{}")] * 10)
    await before.journal.stop()
    loop, told, wrong = asyncio.get_running_loop(), [], []
    tell = loop.call_soon_threadsafe

    def note_and_tell(*it: Any) -> None:
        tell(*it)
        told.append(it)

    monkeypatch.setattr(loop, "call_soon_threadsafe", note_and_tell)
    loop.set_exception_handler(lambda loop, context: wrong.append(context))
    log = Log(tmp_path, events=3)
    starting = asyncio.create_task(log.start())
    await asyncio.sleep(0)
    wait_until(lambda: len(told) == 2)  # the loop stands still meanwhile: opened, and evicted
    await starting
    history = log.journal.history
    assert (wrong, history and history.floor) == ([], 7)
    await log.journal.stop()


async def test_start_that_is_given_up_leaves_the_file_to_others(tmp_path: Path) -> None:
    first = Log(tmp_path)
    starting = asyncio.ensure_future(first.start())
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await eventually(lambda: first.journal._lock is None)
    log = Log(tmp_path)
    await log.start()
    await log.append(*ticks(1))
    await log.journal.stop()


async def test_what_waited_for_the_disk_comes_to_the_loop_in_parts(tmp_path: Path) -> None:
    log = Log(tmp_path)
    sizes: list[int] = []
    window = Window(10, 2**20)
    await log.journal.start(lambda events: sizes.append(len(events)), lambda opening: None, window)
    appends = [appended(log.journal, [Append(ticks(500))]) for _ in range(40)]
    await asyncio.gather(*appends)
    assert sum(sizes) == 20_000
    assert max(sizes) < MOST_EVENTS + 500
    await log.journal.stop()


async def test_next_transaction_begins_before_the_publishers_of_the_last_are_told(
    tmp_path: Path,
) -> None:
    log = Log(tmp_path)
    await log.start()
    gathering = log.journal._gathering
    was_under_way: list[bool] = []
    first = appended(
        log.journal,
        [Append(ticks(1))],
        lambda outcomes: was_under_way.append(gathering._is_under_way),
    )
    await asyncio.gather(first, appended(log.journal, [Append(ticks(1))]))
    assert was_under_way == [True]
    await log.journal.stop()


async def test_publishers_hear_of_it_where_the_hub_cannot_take_what_was_committed(
    tmp_path: Path,
) -> None:
    log = Log(tmp_path)
    failed: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failed.append(context))

    def deliver(events: object) -> None:
        raise MemoryError("no memory")

    await log.journal.start(deliver, lambda opening: None, Window(10, 2**20))
    for _ in range(2):  # the next ones are told too
        with pytest.raises(MemoryError):
            await appended(log.journal, [Append(ticks(1))])
    assert len(failed) == 2
    await log.journal.stop()


async def test_lower_limit_forgets_topics_that_ended_first(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    for topic in "abcde":
        await log.append(Draft("tick", b"x", topic, final=True))
    await log.journal.stop()
    log = Log(tmp_path, ended_topics=2)
    opening = await log.start()
    assert [topic for topic, _ in opening.ended] == ["d", "e"]
    await log.append(Draft("tick", b"x", "a", final=True))  # it was open again
    await log.journal.stop()
    db = connect(log.path)
    assert [row[0] for row in db.execute("SELECT topic FROM ended ORDER BY place")] == ["e", "a"]
    db.close()


async def test_end_that_was_not_committed_is_taken_back_with_its_event(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    await log.append(Draft("tick", b"x", "a"))
    await log.append(Draft("tick", b"x", "a", final=True))
    await log.journal.stop()
    db = connect(log.path)
    cut(db, 1)  # as after a commit that failed, and is in the file all the same
    assert db.execute("SELECT count(*) FROM ended").fetchone() == (0,)
    db.close()
    again = Log(tmp_path)
    assert (await again.start()).ended == []
    await again.append(Draft("tick", b"x", "a"))
    await again.journal.stop()
