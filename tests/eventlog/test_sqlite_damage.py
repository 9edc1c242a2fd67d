"""A file with damage in the middle: what is behind it is read, what lies before it is told as gone, and it is evicted."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from tests.eventlog.test_sqlite_journal import Log, ticks
from tests.serving import eventually
from tocsin.core.event import Draft
from tocsin.core.filters import EVERYTHING, Filter
from tocsin.errors import Unavailable
from tocsin.eventlog.journal import Once
from tocsin.eventlog.journal.sqlite.store import Store

GARBAGE = b"\xc1\x10\x00\x00\x00garbage"
BATCH = 64
PAGE_BYTES = 8_192


async def damaged_log(folder: Path, batches: int, *damaged: int, **limits: float) -> Log:
    """A log of so many segments, of which these (from 0) are damaged."""
    log = Log(folder)
    await log.start()
    for number in range(batches):
        await log.append(*[Draft("tick", b"%d" % n, f"t/{number % 2}") for n in range(BATCH)])
    await log.journal.stop()
    db = sqlite3.connect(log.path)
    for number in damaged:
        db.execute(
            "UPDATE segments SET contents = ? WHERE last = ?", (GARBAGE, (number + 1) * BATCH)
        )
    db.commit()
    db.close()
    log = Log(folder, None, **limits)
    await log.start(events=10)
    return log


@pytest.mark.parametrize("filter", [EVERYTHING, Filter(["t/0"]), Filter(["t/*"])])
async def test_what_lies_before_damage_is_gone_and_what_follows_is_read(
    tmp_path: Path, filter: Filter, caplog: pytest.LogCaptureFixture
) -> None:
    log = await damaged_log(tmp_path, 12, 4, 5)
    history = log.history
    page = await history.read(10, filter, max_events=2_000, max_bytes=2**20)
    while history.floor == 0:  # what lies before it may come as long as nobody has met it
        page = await history.read(page.cursor, filter, max_events=2_000, max_bytes=2**20)
    assert (page.events, history.floor) == ((), 6 * BATCH)
    assert history.has_lost(10, filter)
    assert not history.has_lost(6 * BATCH, filter)
    events = await log.read_all(history.floor, filter)
    wanted = list(range(6 * BATCH + 1, 12 * BATCH + 1))
    if filter == Filter(["t/0"]):
        wanted = [seq for seq in wanted if (seq - 1) // BATCH % 2 == 0]
    assert [event.id.seq for event in events] == wanted
    assert not log.journal.status
    assert len([line for line in caplog.records if line.levelname == "ERROR"]) == 1
    await log.append(*ticks(1))
    assert history.floor == 6 * BATCH
    await log.journal.stop()


async def test_search_for_the_newest_ends_at_damage(tmp_path: Path) -> None:
    log = await damaged_log(tmp_path, 12, 4)
    found = await log.history.newest(Filter(["t/0"]), 1_000, max_bytes=2**20, before=12 * BATCH + 1)
    assert log.history.floor == 5 * BATCH
    assert [event.id.seq for event in found.events[::BATCH]] == [n * BATCH + 1 for n in (6, 8, 10)]
    await log.journal.stop()


@pytest.mark.parametrize(
    "limits", [{"events": 300}, {"bytes": 9_000}, {"age_s": 5.0}], ids=["events", "bytes", "age"]
)
async def test_damaged_segments_are_evicted_as_others_are(
    tmp_path: Path, limits: dict[str, float]
) -> None:
    log = await damaged_log(tmp_path, 12, 2, 4, **limits)
    log.clock.move(60.0)
    for _ in range(20):
        await log.append(*ticks(BATCH))
        await asyncio.sleep(0.02)
    async with asyncio.timeout(20):
        while log.history.floor < 6 * BATCH:
            await log.append(*ticks(1))
            await asyncio.sleep(0.05)
    assert not log.journal.status
    history = log.history
    assert history.has_lost(2 * BATCH + 1, Filter(["t/0"]))
    await log.journal.stop()


async def test_damaged_segments_keep_no_newest_event_and_the_others_do(tmp_path: Path) -> None:
    log = await damaged_log(tmp_path, 6, 1, events=100, keep_newest=(("t/*", 1),))  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        while log.history.floor < 6 * BATCH:
            await log.append(*[Draft("tick", b"x", "u")] * BATCH)
            await asyncio.sleep(0.02)
    newest = log.history.kept_newest
    assert list(newest.seqs) == [5 * BATCH, 6 * BATCH]
    await log.journal.stop()


async def log_with_a_damaged_page(folder: Path, batches: int = 60, **limits: float) -> Log:
    """A log of so many segments, of which the page with the 30th is overwritten."""
    log, dice = Log(folder), random.Random(1)
    await log.start()
    for number in range(batches):
        marks = [b"mark %d %s" % (number, dice.randbytes(60).hex().encode()) for _ in range(BATCH)]
        await log.append(*[Draft("tick", mark, f"t/{n}") for n, mark in enumerate(marks)])
    await log.journal.stop()
    content = log.path.read_bytes()
    page = content.index(b"mark 30 ") // PAGE_BYTES * PAGE_BYTES
    log.path.write_bytes(content[:page] + b"\xff" * PAGE_BYTES + content[page + PAGE_BYTES :])
    log = Log(folder, None, **limits)
    await log.start(events=10)
    return log


async def test_damage_that_sqlite_finds_is_passed_too(tmp_path: Path) -> None:
    log = await log_with_a_damaged_page(tmp_path)
    cursor = 0
    while log.history.floor == 0:
        piece = await log.history.read(cursor, EVERYTHING, max_events=1_000, max_bytes=2**20)
        cursor = piece.cursor
    floor = log.history.floor
    assert 30 * BATCH <= floor < 34 * BATCH
    events = await log.read_all(floor)
    assert [event.id.seq for event in events] == list(range(floor + 1, 60 * BATCH + 1))
    await log.journal.stop()


@pytest.mark.parametrize(
    "limits",
    [{"events": 5_000}, {"bytes": 400_000}, {"age_s": 5.0}],
    ids=["events", "bytes", "age"],
)
async def test_page_that_sqlite_cannot_read_is_evicted_as_others_are(
    tmp_path: Path, limits: dict[str, float]
) -> None:
    log = await log_with_a_damaged_page(tmp_path, 300, **limits)
    log.clock.move(120.0)
    async with asyncio.timeout(30):
        while log.history.floor < 250 * BATCH:
            with suppress(Unavailable):  # once: the file is opened anew behind the damage
                await log.append(*ticks(BATCH))
            log.clock.move(1.0)
            await asyncio.sleep(0.02)
    assert not log.journal.status
    assert log.journal.figures.reconnects == 1
    history = log.history
    assert history.has_lost(20 * BATCH, Filter(["t/1"]))
    seqs = [event.id.seq for event in await log.read_all(history.floor)]
    assert seqs == sorted(seqs)  # some went meanwhile
    assert seqs[0] > 250 * BATCH
    assert seqs[-1] == history.head
    await log.journal.stop()


@pytest.mark.parametrize("filter", [EVERYTHING, Filter(["t/*"])])
async def test_search_for_the_newest_ends_at_a_page_that_sqlite_cannot_read(
    tmp_path: Path, filter: Filter
) -> None:
    log = await log_with_a_damaged_page(tmp_path)
    before, seqs = 60 * BATCH + 1, list[int]()
    while before > log.history.floor + 1:
        page = await log.history.newest(filter, 500, max_bytes=2**24, before=before)
        seqs = [event.id.seq for event in page.events] + seqs
        before = page.before
    assert 30 * BATCH <= log.history.floor < 34 * BATCH
    assert seqs == list(range(log.history.floor + 1, 60 * BATCH + 1))
    await log.journal.stop()


async def test_name_that_is_none_is_damage_and_only_what_lies_before_it_is_gone(
    tmp_path: Path,
) -> None:
    log = Log(tmp_path)
    await log.start()
    for _ in range(60):
        await log.append(Draft("tick", b"x", "t/1"))
    await log.journal.stop()
    db = sqlite3.connect(log.path)
    db.execute(
        "UPDATE segments SET contents = CAST(replace(contents, 'tick', 'ti#k') AS BLOB) WHERE last = 30"
    )
    db.commit()
    db.close()
    log = Log(tmp_path)
    await log.start(events=10)
    page = await log.history.read(10, EVERYTHING, max_events=100, max_bytes=2**20)
    assert (page.events, log.history.floor) == ((), 30)
    page = await log.history.read(30, EVERYTHING, max_events=100, max_bytes=2**20)
    assert [event.id.seq for event in page.events] == list(range(31, 61))
    await log.journal.stop()


async def test_damage_among_the_keys_keeps_nobody_from_publishing_and_evicts_nothing(
    tmp_path: Path,
) -> None:
    log = Log(tmp_path)
    await log.start()
    for number in range(1_000):
        await log.append(*ticks(1), once=Once("s", f"k{number}", b"d" * 16))
    await log.journal.stop()
    db = sqlite3.connect(log.path)
    name = "sqlite_autoindex_keys_1"
    (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    db.close()
    content = bytearray(log.path.read_bytes())
    content[(page - 1) * PAGE_BYTES : page * PAGE_BYTES] = b"\xff" * PAGE_BYTES
    log.path.write_bytes(content)
    log = Log(tmp_path)
    await log.start(events=10)
    log.clock.move(90_000.0)  # the keys are too old
    await eventually(lambda: not log.journal._writer._tidies_keys)
    assert (await log.append(*ticks(1))).ids[0].seq == 1_001
    assert (log.history.floor, log.journal.figures.reconnects) == (0, 0)
    await log.journal.stop()


async def test_damage_that_is_elsewhere_evicts_no_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(tmp_path, events=100)
    await log.start()

    def fail(*arguments: object) -> None:
        raise sqlite3.OperationalError("Could not decode to UTF-8 column")

    monkeypatch.setattr(log.journal._writer._store, "_remember", fail)
    monkeypatch.setattr(Store, "_remember", fail)
    with suppress(Unavailable):
        for _ in range(200):
            await log.append(*ticks(1))
    await eventually(lambda: log.journal.status)
    await asyncio.sleep(0.5)
    assert log.history.floor == 0
    monkeypatch.undo()
    await eventually(lambda: not log.journal.status)
    await log.journal.stop()


async def test_rows_that_are_missing_are_a_hole_that_evictions_pass(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    for _ in range(300):
        await log.append(*ticks(1))
    await log.journal.stop()
    db = sqlite3.connect(log.path)
    db.execute("DELETE FROM segments WHERE last BETWEEN 100 AND 150")
    db.commit()
    db.close()
    log = Log(tmp_path, events=170)
    await log.start(events=10)
    async with asyncio.timeout(30):
        while log.history.floor < 200:
            await log.append(*ticks(5))
            await asyncio.sleep(0.01)
    assert not log.journal.status
    await log.journal.stop()


async def test_reader_goes_on_where_a_damaged_file_is_replaced(tmp_path: Path) -> None:
    log = await log_with_a_damaged_page(tmp_path)
    away, other = tmp_path / "away", tmp_path / "other"
    other.write_bytes(log.path.read_bytes())
    log.journal._reader._close()  # it has read nothing yet
    log.path.rename(away)
    other.rename(log.path)
    with pytest.raises(Unavailable):
        await log.history.read(0, EVERYTHING, max_events=5_000, max_bytes=2**24)
    away.replace(log.path)
    await eventually(lambda: not log.journal.status)
    page = await log.history.read(40 * BATCH, EVERYTHING, max_events=10, max_bytes=2**20)
    assert len(page.events) == 10
    await log.journal.stop()
