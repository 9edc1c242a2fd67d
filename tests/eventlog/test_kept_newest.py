"""What stays when the history moves on: the decision, and the file. Reading it is in the models."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.eventlog.test_sqlite_journal import Clock, Log, ticks
from tests.serving import eventually
from tocsin.core.event import Draft
from tocsin.core.filters import EVERYTHING, Filter
from tocsin.errors import Unavailable
from tocsin.eventlog.entry import Entry
from tocsin.eventlog.journal.sqlite import transfer
from tocsin.eventlog.journal.sqlite.file import connect
from tocsin.eventlog.kept_newest import KeptNewest
from tocsin.eventlog.recent import Picking
from tocsin.eventlog.retention import EVENT_BYTES, KeepRules, Left, Retention

QUIET = Filter(["quiet/*"])
KEEP = (("quiet/*", 2),)


def left(first: int, *topics: str, size: int = 100) -> list[Left]:
    """Events that left the history, the first with this seq, each on the topics that its text lists."""
    return [Left(seq, each.split(), size) for seq, each in enumerate(topics, first)]


# --- the decision ---------------------------------------------------------------------------------


def test_largest_number_of_the_patterns_that_match_counts() -> None:
    rules = KeepRules([("a/*", 3), ("a/b", 5), ("a/c", 1), ("a/b*", 2), ("d", 1)])
    numbers = {topic: rules.newest_of(topic) for topic in ("a/b", "a/c", "a/bc", "d", "de", "e")}
    assert numbers == {"a/b": 5, "a/c": 3, "a/bc": 3, "d": 1, "de": 0, "e": 0}
    assert KeepRules([("*", 4)]).newest_of("anything") == 4


def test_newest_of_each_topic_stay() -> None:
    retention = Retention(KeepRules([("a", 2), ("b", 1)]), 1_000_000)
    first = retention.take(left(1, "a", "b", "c", "a", "b"))
    assert (first.kept, first.evicted, first.beyond_bytes) == ([1, 4, 5], [], 0)
    second = retention.take(left(6, "a", "c", "b"))
    assert (second.kept, second.evicted) == ([6, 8], [1, 5])
    assert [seq in retention for seq in range(1, 9)] == [
        *(False, False, False, True, False),
        *(True, False, True),
    ]


def test_event_on_several_topics_stays_as_long_as_one_of_them_holds_it() -> None:
    retention = Retention(KeepRules([("a", 1), ("b", 1)]), 1_000_000)
    assert retention.take(left(1, "a b c")).kept == [1]
    assert retention.take(left(2, "a")).evicted == []
    assert retention.take(left(3, "b")).evicted == [1]
    assert retention.bytes == 2 * (100 + EVENT_BYTES)


def test_oldest_go_where_all_are_too_large() -> None:
    retention = Retention(KeepRules([("*", 10)]), 3 * (100 + EVENT_BYTES))
    assert retention.take(left(1, "a", "b", "a b")).kept == [1, 2, 3]
    verdict = retention.take(left(4, "a", "c"))
    assert (verdict.kept, verdict.evicted, verdict.beyond_bytes) == ([4, 5], [1, 2], 2)
    verdict = retention.take(left(6, "d", size=10_000))
    assert (verdict.kept, verdict.evicted, verdict.beyond_bytes) == ([], [3, 4, 5], 4)
    assert (retention.bytes, len(retention)) == (0, 0)
    assert retention.take(left(7, "a")).kept == [7]


def test_what_a_lagging_reader_was_promised_does_not_change() -> None:
    newest = KeptNewest(1_000_000)
    newest.apply(
        [Entry(1, "a", "t", 0.0, b""), Entry(2, "b", "t", 0.0, b"")], (), bytes=9, beyond_bytes=0
    )
    selection = newest.selection(EVERYTHING, 5)
    assert newest.selection(EVERYTHING, 5) is selection  # for all who ask meanwhile
    newest.apply([Entry(7, "a", "t", 0.0, b"")], [1], bytes=9, beyond_bytes=0)
    assert [*(selection.seqs or ())] == [1, 2]
    assert [*(newest.selection(EVERYTHING, 8).seqs or ())] == [2, 7]
    assert newest.get(1) is None


def test_event_that_is_picked_for_one_topic_counts_for_its_others() -> None:
    newest = KeptNewest(1_000_000)
    entries = [Entry(1, "b", "t", 0.0, b""), Entry(2, "a", "t", 0.0, b"", ("b",))]
    newest.apply(entries, (), bytes=9, beyond_bytes=0)
    picking = Picking(EVERYTHING, 1)
    assert newest.pick(picking)
    assert picking.seqs == {2}


def test_what_left_the_history_since_it_was_picked_is_not_picked_again() -> None:
    newest = KeptNewest(1_000_000)
    newest.apply([Entry(seq, "a", "t", 0.0, b"") for seq in (1, 2, 3)], (), bytes=9, beyond_bytes=0)
    picking = Picking(EVERYTHING, 2)
    picking.take(3, "t", ("a",))
    assert newest.pick(picking)
    assert picking.seqs == {2, 3}


# --- the file -------------------------------------------------------------------------------------


def staying(log: Log) -> list[int]:
    """The seqs of what stays below the log."""
    return [*log.history.kept_newest.seqs]


async def filled(folder: Path, clock: Clock | None = None, **limits: object) -> Log:
    """A log that has let go of its first events: four on two quiet topics, and many on another."""
    log = Log(folder, clock, **{"keep_newest": KEEP, "events": 500, **limits})  # type: ignore[arg-type]
    await log.start()
    await log.append(
        *ticks(1, "quiet/1"), *ticks(1, "quiet/2"), *ticks(2, "quiet/1", "tock"), *ticks(6)
    )
    return log


async def pushed_out(log: Log) -> Log:
    for _ in range(20):
        await log.append(*ticks(100))
    await eventually(lambda: log.history.floor > 1_000)
    return log


async def test_newest_of_a_topic_outlive_the_limit_by_count(tmp_path: Path) -> None:
    log = await pushed_out(await filled(tmp_path))
    assert staying(log) == [2, 3, 4]
    assert not log.history.has_lost(1, QUIET)
    assert log.history.has_lost(0, QUIET)
    assert log.history.has_lost(4, EVERYTHING)
    await eventually(lambda: log.history.events <= 503)
    await log.journal.stop()


async def test_newest_of_a_topic_outlive_the_limit_by_bytes(tmp_path: Path) -> None:
    log = await pushed_out(await filled(tmp_path, events=1_000_000, bytes=20_000))
    assert staying(log) == [2, 3, 4]
    await log.journal.stop()


async def test_newest_of_a_topic_outlive_the_limit_by_age(tmp_path: Path) -> None:
    clock = Clock()
    log = await filled(tmp_path, clock, age_s=100.0)
    await eventually(lambda: log.journal._writer._store._noted)
    clock.move(101.0)
    await eventually(lambda: log.history.floor == 10)
    assert staying(log) == [2, 3, 4]
    await log.journal.stop()


async def test_what_stays_is_there_after_a_restart_and_goes_on(tmp_path: Path) -> None:
    log = await pushed_out(await filled(tmp_path))
    await log.append(*ticks(1, "quiet/1"))
    await log.journal.stop()
    again = Log(tmp_path, keep_newest=KEEP, events=500)  # type: ignore[arg-type]
    await again.start()
    assert staying(again) == [2, 3, 4]
    assert again.history.kept_newest.bytes == log.history.kept_newest.bytes
    assert not again.history.has_lost(1, QUIET)
    await pushed_out(again)
    await eventually(lambda: again.history.floor > 2_011)
    assert staying(again) == [2, 4, 2_011]
    assert again.history.has_lost(2, Filter(["quiet/1"], ["tock"]))
    assert not again.history.has_lost(2, Filter(["quiet/2"]))
    await again.journal.stop()
    once_more = Log(tmp_path, keep_newest=KEEP, events=500)  # type: ignore[arg-type]
    await once_more.start()
    assert once_more.history.has_lost(2, Filter(["quiet/1"], ["tock"]))
    assert not once_more.history.has_lost(3, Filter(["quiet/1"], ["tock"]))
    await once_more.journal.stop()


@pytest.mark.parametrize(
    ("keep", "expected"), [((("quiet/1", 1),), [4]), ((("quiet/2", 9),), [2]), ((), None)]
)
async def test_what_may_not_stay_any_more_goes_at_the_start(
    tmp_path: Path, keep: tuple[tuple[str, int], ...], expected: list[int] | None
) -> None:
    log = await pushed_out(await filled(tmp_path))
    await log.journal.stop()
    again = Log(tmp_path, keep_newest=keep, events=500)  # type: ignore[arg-type]
    await again.start()
    newest = again.history.kept_newest
    assert (None if newest is None else [*newest.seqs]) == expected
    assert again.history.has_lost(2, QUIET)
    await again.journal.stop()
    db = connect(again.path)
    assert db.execute("SELECT count(*) FROM kept").fetchone()[0] == len(expected or ())
    db.close()


async def test_file_keeps_to_its_size_however_many_topics_there_are(tmp_path: Path) -> None:
    log = Log(tmp_path, keep_newest=(("*", 1),), events=500, keep_newest_bytes=200_000)  # type: ignore[arg-type]
    await log.start()
    for number in range(30):
        await log.append(*[Draft("tick", b"x" * 100, f"t/{number}/{n}") for n in range(100)])
    await eventually(lambda: log.history.floor >= 2_400)
    newest = log.history.kept_newest
    assert 100_000 < newest.bytes <= 200_000
    assert staying(log) == [*range(log.history.floor - len(newest) + 1, log.history.floor + 1)]
    assert newest.beyond_bytes == log.history.floor - len(newest)
    assert not log.history.has_lost(log.history.floor - len(newest), EVERYTHING)
    assert log.history.has_lost(log.history.floor - len(newest) - 1, EVERYTHING)
    await log.journal.stop()
    db = connect(log.path)
    assert db.execute("SELECT sum(length(content)) FROM kept").fetchone()[0] < 200_000
    db.close()


async def test_what_stays_is_known_after_a_failure(tmp_path: Path) -> None:
    log = await pushed_out(await filled(tmp_path))
    db = connect(log.path)
    db.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable):
        await log.append(*ticks(1))
    # As an eviction would have done it whose commit failed, and is in the file all the same.
    db.execute("DELETE FROM kept WHERE seq = 3")
    db.execute("COMMIT")
    db.close()
    await eventually(lambda: not log.journal.status)
    assert staying(log) == [2, 4]
    assert log.history.has_lost(2, Filter(["quiet/1"]))
    await log.journal.stop()


async def test_what_stays_is_checked_exported_and_imported(tmp_path: Path) -> None:
    log = await pushed_out(await filled(tmp_path))
    await log.journal.stop()
    assert transfer.check(log.path).kept_newest == 3
    exported, again = io.BytesIO(), io.BytesIO()
    transfer.export(log.path, exported)
    copy = tmp_path / "copy" / "journal.db"
    copy.parent.mkdir()
    transfer.read_in(copy, exported.getvalue().splitlines(keepends=True))
    assert transfer.check(copy).kept_newest == 3
    transfer.export(copy, again)
    assert again.getvalue() == exported.getvalue()
    opened = Log(copy.parent, keep_newest=KEEP, events=500)  # type: ignore[arg-type]
    await opened.start()
    assert staying(opened) == [2, 3, 4]
    await opened.journal.stop()


async def test_check_finds_what_stays_where_it_does_not_belong(tmp_path: Path) -> None:
    log = await pushed_out(await filled(tmp_path))
    await log.journal.stop()
    db = connect(log.path)
    db.execute("INSERT INTO kept SELECT 3000, time, content FROM kept WHERE seq = 3")
    db.close()
    with pytest.raises(transfer.Unsound, match="stays below the log"):
        transfer.check(log.path)
