"""The contents of segments in the file: which are compressed, what is damaged, and files from before they were."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.eventlog.test_sqlite_journal import Log, ticks
from tocsin.core.event import Draft
from tocsin.core.filters import EVERYTHING, Filter
from tocsin.core.record import RecordError, encode_contents
from tocsin.eventlog.journal.sqlite import compression, transfer
from tocsin.eventlog.journal.sqlite.compression import MARK, compressed, expanded
from tocsin.eventlog.journal.sqlite.file import connect
from tocsin.eventlog.journal.sqlite.schema import VERSION, upgrade, version_of
from tocsin.eventlog.journal.sqlite.segments import insert, segments_of


def contents_of(*data: bytes) -> bytes:
    return encode_contents([Draft("tick", each, "t/1") for each in data]).encoded


def kept(path: Path) -> list[bytes]:
    """The contents of each segment as the file has them."""
    db = connect(path)
    found = [row[0] for row in db.execute("SELECT contents FROM segments ORDER BY last")]
    db.close()
    return found


def test_what_comes_together_is_kept_in_a_part_of_its_bytes() -> None:
    alike = contents_of(*[b'{"message":"Shop 4.%d is out","source":"ci"}' % n for n in range(64)])
    found = compressed(alike)
    assert found.startswith(MARK)
    assert len(found) < len(alike) / 3
    assert expanded(found) == alike


def test_what_compression_makes_no_shorter_stays_as_it_is() -> None:
    dice = random.Random(1)
    for contents in (
        contents_of(b"x"),
        contents_of(b"x" * 400),
        contents_of(*[dice.randbytes(100) for _ in range(64)]),
        contents_of(dice.randbytes(60_000)),
    ):
        assert compressed(contents) == contents
        assert expanded(contents) == contents


def test_no_contents_begin_as_compressed_ones() -> None:
    for drafts in (ticks(1), ticks(64), [*ticks(3), *ticks(3, "t/2")]):
        assert not encode_contents(drafts).encoded.startswith(MARK)


def test_damaged_contents_are_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = contents_of(*[b"x" * 100] * 64)
    found = compressed(contents)
    for damaged in (MARK, found[:3], found[:-1], found[:20], MARK + b"\xff" * 40):
        with pytest.raises(RecordError, match="not the contents of events"):
            expanded(damaged)
    monkeypatch.setattr(compression, "MOST_BYTES", len(contents) - 1)
    with pytest.raises(RecordError, match=f"{len(contents)} bytes of them"):
        expanded(found)
    assert compressed(contents) == contents  # what would be refused when it is read


async def test_file_has_both_kinds_side_by_side(tmp_path: Path) -> None:
    dice = random.Random(1)
    log = Log(tmp_path)
    await log.start()
    for size in (0, 50, 100, 150, 200, 250):
        alike = [Draft("tick", b'{"message":"%d is out"}' % size, f"t/{n}") for n in range(64)]
        await log.append(*alike)
        await log.append(Draft("tock", b"alone", "t/1"))
        await log.append(*[Draft("tick", dice.randbytes(size), "t/2") for _ in range(20)])
    assert await log.read_all(0) == log.delivered
    some = await log.read_all(0, Filter(["t/1"]))
    assert some == [event for event in log.delivered if event.draft.topic == "t/1"]
    newest = await log.history.newest(EVERYTHING, 100, max_bytes=10**6, before=1_000)
    assert list(newest.events) == log.delivered[-100:]
    await log.journal.stop()
    assert len({contents.startswith(MARK) for contents in kept(log.path)}) == 2
    assert transfer.check(log.path).events == 510
    again = Log(tmp_path)
    opening = await again.start()
    assert opening.events == log.delivered
    await again.journal.stop()


async def test_file_of_version_5_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.touch(mode=0o600)
    drafts = ticks(150, size=40)
    db = connect(path)
    upgrade(db, 7_000, 5)
    plain = [
        segment._replace(contents=expanded(segment.contents))
        for segment in segments_of(drafts, 1_000_000_000_000, 0, 0)
    ]
    insert(db, plain)
    db.close()
    log = Log(tmp_path)
    opening = await log.start()
    assert [event.draft for event in opening.events] == drafts
    assert (await log.append(*ticks(64, size=40))).ids[0].seq == 151
    assert await log.read_all(0) == [*opening.events, *log.delivered]
    await log.journal.stop()
    before, after = kept(path)[:3], kept(path)[3:]
    assert not any(contents.startswith(MARK) for contents in before)
    assert all(contents.startswith(MARK) for contents in after)
    db = connect(path)
    assert version_of(db) == VERSION
    db.close()
    assert transfer.check(path).events == 214
