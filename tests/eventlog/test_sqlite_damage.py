"""A file with damage in the middle: what is behind it is read, what lies before it is told as gone, and it is evicted."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from tests.eventlog.test_sqlite_journal import Log, ticks
from tocsin.core.event import Draft
from tocsin.core.filters import EVERYTHING, Filter
from tocsin.errors import Unavailable

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
    assert 250 * BATCH < seqs[0]
    assert seqs[-1] == history.head
    await log.journal.stop()
