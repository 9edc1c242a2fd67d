"""Events in the file: which share a row, floors and limits within one, damage, and files of the version before."""

from __future__ import annotations

import io
import itertools
import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.eventlog import version_4
from tests.eventlog.appended import appended
from tests.eventlog.test_sqlite_journal import Log, seqs, ticks
from tests.serving import eventually
from tocsin.core.event import Draft, Event
from tocsin.core.filters import EVERYTHING, Filter
from tocsin.core.record import encode_contents
from tocsin.errors import SettingsError
from tocsin.eventlog.evictions import Evictions
from tocsin.eventlog.journal import Append
from tocsin.eventlog.journal.sqlite import store, transfer
from tocsin.eventlog.journal.sqlite.file import connect
from tocsin.eventlog.journal.sqlite.kept_newest import Change, KeptRows
from tocsin.eventlog.journal.sqlite.limits import Limits
from tocsin.eventlog.journal.sqlite.schema import VERSION, upgrade, version_of
from tocsin.eventlog.journal.sqlite.segments import MOST_BYTES, segments_of


def rows(path: Path) -> list[tuple[int, int]]:
    """The last seq and the events of each segment in the file."""
    db = connect(path)
    found = db.execute("SELECT last, events FROM segments ORDER BY last").fetchall()
    db.close()
    return found


def matching(events: Sequence[Event], filter: Filter) -> list[int]:
    return [
        event.id.seq
        for event in events
        if filter.matches(event.draft.topic, event.draft.type, event.draft.more_topics)
    ]


# --- which events share a row ---------------------------------------------------------------------


async def test_events_of_one_transaction_share_rows(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    await log.append(*ticks(150))
    await log.append(*ticks(1))
    await log.append(*ticks(2))
    await log.journal.stop()
    assert rows(log.path) == [(64, 64), (128, 64), (150, 22), (151, 1), (153, 2)]


def test_segment_has_so_many_bytes_or_one_event() -> None:
    for size, events in ((100, 64), (1_000, 16), (9_000, 1), (200_000, 1)):
        made = segments_of(ticks(130, size=size), 7, 1_000, 5)
        assert max(segment.events for segment in made) == events
        assert all(each.size <= MOST_BYTES or each.events == 1 for each in made)
        assert sum(segment.events for segment in made) == 130
        assert made[-1].last == 1_130
        assert made[-1].total == 5 + sum(segment.size for segment in made)
    one_large = [*ticks(20), *ticks(1, size=50_000), *ticks(20)]
    assert sum(segment.events for segment in segments_of(one_large, 0, 0, 0)) == 41


async def test_large_events_are_read_as_they_were(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    await log.append(*ticks(5, size=60_000), *ticks(70), *ticks(3, size=20_000))
    assert await log.read_all(0) == log.delivered
    newest = await log.history.newest(EVERYTHING, 60, max_bytes=10**6, before=79)
    assert list(newest.events) == log.delivered[-60:]
    await log.journal.stop()
    assert rows(log.path)[:5] == [(seq, 1) for seq in range(1, 6)]


# --- a floor within a segment ---------------------------------------------------------------------


async def test_floor_may_lie_within_a_segment(tmp_path: Path) -> None:
    log = Log(tmp_path, events=100)
    await log.start()
    for _ in range(3):
        await log.append(*[Draft("tick", b"%d" % n, f"t/{n}") for n in range(64)])
    await log.append(*ticks(1))
    await eventually(lambda: log.history.events == 100)
    assert log.history.floor == 93
    assert rows(log.path) == [(128, 64), (192, 64), (193, 1)]
    kept = log.delivered[93:]

    async def check(some: Log) -> None:
        assert await some.read_all(0) == kept
        newest = await some.history.newest(EVERYTHING, 200, max_bytes=10**6, before=194)
        assert list(newest.events) == kept
        assert some.history.bytes == encode_contents([event.draft for event in kept]).bytes
        assert not some.history.has_lost(92, Filter(["t/29"]))
        assert some.history.has_lost(92, Filter(["t/28"]))
        assert not some.history.has_lost(93, EVERYTHING)
        assert some.history.has_lost(0, Filter(["t/63"]))
        assert await some.read_all(0, Filter(["t/28"])) == [log.delivered[64 + 64 + 28]]

    await check(log)
    await log.journal.stop()
    again = Log(tmp_path, events=100)
    opening = await again.start()
    assert opening.events == kept
    await check(again)
    await again.journal.stop()
    assert transfer.check(log.path).events == 100
    exported = io.BytesIO()
    assert transfer.export(log.path, exported) == 100
    assert json.loads(exported.getvalue().splitlines()[1])["seq"] == 94


@pytest.mark.parametrize("near", [0, store.NEAR])
async def test_limit_by_bytes_is_kept_to_the_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, near: int
) -> None:
    monkeypatch.setattr(store, "NEAR", near)
    dice = random.Random(1)
    log = Log(tmp_path, bytes=30_000)
    await log.start()
    for _ in range(8):
        await log.append(*[ticks(1, size=dice.randrange(500))[0] for _ in range(40)])
    await eventually(lambda: log.history.bytes <= 30_000 + 30_000 // 128)
    floor = log.history.floor
    sizes = [encode_contents([event.draft]).bytes for event in log.delivered]
    assert log.history.bytes == sum(sizes[floor:])
    assert sum(sizes[floor:]) + sizes[floor - 1] > 30_000 - 2 * 40 * 600  # no more than had to
    await log.journal.stop()
    small = Log(tmp_path, bytes=10_000)
    opening = await small.start(bytes=5_000)
    first = opening.floor.seq
    assert sum(sizes[first:]) <= 5_000 < sum(sizes[first - 1 :])
    await eventually(lambda: small.history.bytes <= 10_000)
    floor = small.history.floor
    assert sum(sizes[floor:]) <= 10_000 < sum(sizes[floor - 1 :])
    await small.journal.stop()


async def test_what_is_kept_of_a_topic_leaves_its_segment(tmp_path: Path) -> None:
    log = Log(tmp_path, keep_newest=(("quiet/*", 1),), events=70)  # type: ignore[arg-type]
    await log.start()
    quiet = Draft("tick", b"q", "loud", more_topics=("quiet/1",))
    await log.append(*ticks(10, "loud"), quiet, *ticks(20, "loud"), quiet, *ticks(20, "loud"))
    await log.append(*ticks(64, "loud"))
    await log.append(*ticks(1, "loud"))
    await eventually(lambda: log.history.floor == 47)
    kept = log.history.kept_newest
    assert [*kept.seqs] == [32]
    assert kept.get(32).data == b"q"
    assert log.history.has_lost(10, Filter(["quiet/1"]))
    assert not log.history.has_lost(11, Filter(["quiet/1"]))
    assert log.history.has_lost(46, Filter(["loud"]))
    await log.journal.stop()
    assert transfer.check(log.path).kept_newest == 1


async def test_final_events_end_their_topics_within_a_segment(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    await log.append(*ticks(3), Draft("done", b"x", "a", more_topics=("b",), final=True), *ticks(3))
    (refused,) = await appended(log.journal, [Append(ticks(1, "b"))])
    assert type(refused).__name__ == "TopicEnded"
    assert [event.id.seq for event in log.delivered if event.draft.final] == [4]
    assert await log.read_all(0) == log.delivered
    await log.journal.stop()
    again = Log(tmp_path)
    opening = await again.start()
    assert [(topic, final.seq) for topic, final in opening.ended] == [("a", 4), ("b", 4)]
    await again.journal.stop()


@pytest.mark.parametrize("at_once", [(1, 1), (3, 40), (store.MOST_SEGMENTS, store.MOST_NAMES)])
@pytest.mark.parametrize("seed", range(6))
async def test_what_was_evicted_is_known_to_the_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, at_once: tuple[int, int]
) -> None:
    monkeypatch.setattr(store, "MOST_SEGMENTS", at_once[0])
    monkeypatch.setattr(store, "MOST_NAMES", at_once[1])
    dice = random.Random(seed)
    log = Log(tmp_path, events=dice.choice([10, 100, 300]))
    await log.start()
    topics = [f"t/{number}" for number in range(dice.choice([1, 3, 90]))]
    for _ in range(12):
        types = dice.choice([["tick"], ["tick", "tock"]])
        await log.append(
            *[
                Draft(
                    dice.choice(types),
                    b"x",
                    dice.choice(topics),
                    more_topics=("m",) if dice.random() < 0.1 else (),
                )
                for _ in range(dice.randrange(1, 200))
            ]
        )
    history = log.history
    await eventually(lambda: history.events <= 302)
    newest: dict[tuple[str, str], int] = {}
    for event in log.delivered[: history.floor]:
        for topic in event.draft.topics:
            newest[topic, event.draft.type] = event.id.seq
    assert newest
    for (topic, type), seq in newest.items():
        one = Filter([topic], [type])
        assert history.has_lost(seq - 1, one)
        assert not history.has_lost(seq, one)
    await log.journal.stop()


@pytest.mark.parametrize("topics", [1, 20])
@pytest.mark.parametrize("at_once", [1, 4, 64])
async def test_history_does_not_grow_when_large_events_follow_small_ones(
    tmp_path: Path, topics: int, at_once: int
) -> None:
    limit = 500_000
    log = Log(tmp_path, bytes=limit)
    await log.start()
    number = 0
    while log.history.bytes < limit * 0.99:
        small = [f"{number + n}" for n in range(200)]
        await log.append(
            *[
                Draft("tick", b"x", t, more_topics=tuple(f"{t}/{n}" for n in range(1, topics)))
                for t in small
            ]
        )
        number += 200
    large = random.Random(1).randbytes(8_000)
    slack = limit // 128 + at_once * (len(large) + 100)
    for _ in range(100):
        await log.append(*[Draft("tick", large, "big")] * at_once)
        assert log.history.bytes <= limit + slack
    assert log.history.floor >= number
    await log.journal.stop()


def test_eviction_costs_what_it_removes_and_not_what_is_above_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.touch(mode=0o600)
    steps: dict[int, int] = {}
    for rows_above in (2_000, 20_000):
        path.write_bytes(b"")
        db = connect(path)
        upgrade(db, 7_000)
        file = store.Store(db, Limits(), 1_000_000.0, 0.0)
        db.execute("BEGIN")
        for number in range(rows_above):
            file.add(file.next_segments(ticks(1), number))
        done = itertools.count()
        db.set_progress_handler(lambda done=done: next(done) and None, 100)  # type: ignore[misc]
        file.evict(rows_above, Evictions(100))
        assert file.floor == store.MOST_SEGMENTS
        steps[rows_above] = next(done)
        db.set_progress_handler(None, 0)
        db.execute("COMMIT")
        db.close()
    assert steps[20_000] < 1.5 * steps[2_000]


async def test_bounded_part_is_evicted_where_events_may_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_LOOKED_AT", 100)
    log = Log(tmp_path, keep_newest=(("t/1", 3),))  # type: ignore[arg-type]
    await log.start()
    await log.append(*ticks(3_000))
    await log.journal.stop()
    looked_at: list[int] = []
    take = KeptRows.take

    def counting(rows: KeptRows, floor: int, to: int) -> Change:
        looked_at.append(to - floor)
        return take(rows, floor, to)

    monkeypatch.setattr(KeptRows, "take", counting)
    again = Log(tmp_path, events=50, keep_newest=(("t/1", 3),))  # type: ignore[arg-type]
    await again.start()
    await eventually(lambda: again.history.events == 50)
    assert [*again.history.kept_newest.seqs] == [2_948, 2_949, 2_950]
    assert max(looked_at) == 100
    await again.journal.stop()


# --- searches -------------------------------------------------------------------------------------


async def test_type_and_topic_are_those_of_one_event(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    await log.append(Draft("tick", b"1", "a"), Draft("tock", b"2", "b"), Draft("tick", b"3", "ab"))
    for filter, wanted in (
        (Filter(["a"], ["tock"]), []),
        (Filter(["a"], ["tick"]), [1]),
        (Filter(["a*"], ["tick"]), [1, 3]),
        (Filter(["b"]), [2]),
        (Filter(["b*"], ["ick"]), []),
    ):
        assert seqs(await log.read_all(0, filter)) == wanted
        newest = await log.history.newest(filter, 9, max_bytes=10**6, before=4)
        assert seqs(newest.events) == wanted
    await log.journal.stop()


async def test_search_of_many_segments_that_have_little_of_what_is_wanted(tmp_path: Path) -> None:
    log = Log(tmp_path)
    await log.start()
    for part in range(4):
        await log.append(*[Draft("tick", b"x", f"t/{n % 80}") for n in range(1_700 + part)])
    for filter in (Filter(["t/7"]), Filter(["t/7", "t/1*"]), Filter(["none"], ["tick"])):
        wanted = matching(log.delivered, filter)
        assert seqs(await log.read_all(0, filter)) == wanted
        newest = await log.history.newest(filter, 10_000, max_bytes=10**7, before=10_000)
        assert seqs(newest.events) == wanted
    await log.journal.stop()


async def test_search_of_events_that_came_alone(tmp_path: Path) -> None:
    version_4.write(
        tmp_path / "journal.db", 7_000, version_4.events_of(7_000, mixed(5_000), at_once=1)
    )
    log = Log(tmp_path)
    kept = (await log.start(events=5_000)).events
    assert rows(log.path) == [(seq, 1) for seq in range(1, 5_001)]
    for filter in (EVERYTHING, Filter(["t/*"]), Filter(["t/3"], ["tock"]), Filter(["none"])):
        wanted = matching(kept, filter)
        assert seqs(await log.read_all(0, filter)) == wanted
        newest = await log.history.newest(filter, 10_000, max_bytes=10**8, before=4_000)
        assert seqs(newest.events) == [seq for seq in wanted if seq < 4_000]
    await log.journal.stop()


# --- import and damage ----------------------------------------------------------------------------


def exported(*times: float) -> list[bytes]:
    """Lines of an export whose events have these times."""
    lines = [
        f'{{"seq":{seq},"time":{time},"type":"tick","topics":["t"],"data":"{seq}"}}'.encode()
        for seq, time in enumerate(times, 1)
    ]
    return [b'{"kind":"log","epoch":5,"floor":0}', *lines]


def test_imported_events_share_rows_where_they_have_one_time(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    times = [1.5] * 70 + [2.25] * 3 + [2.0] * 2 + [1_732_345_678.123457]
    assert transfer.read_in(path, exported(*times)).events == 76
    assert rows(path) == [(64, 64), (70, 6), (75, 5), (76, 1)]  # times never go back
    again = io.BytesIO()
    transfer.export(path, again)
    assert [json.loads(line)["time"] for line in again.getvalue().splitlines()[1:-1]] == [
        *[1.5] * 70,
        *[2.25] * 5,
        1_732_345_678.123457,
    ]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("contents = substr(contents, 1, length(contents) - 1) WHERE last = 128", "damaged"),
        ("contents = CAST(replace(CAST(contents AS TEXT), 't/1', 't 1') AS BLOB)", "damaged"),
        ("topics = char(10) || 't/2' || char(10) WHERE last = 64", "other types or topics"),
        ("total = total + 1 WHERE last = 128", "wrong bytes"),
        ("time = time - 1000 WHERE last = 128", "older than the one before"),
        ("events = events - 1 WHERE last = 128", "damaged"),
        ("last = 129 WHERE last = 128", "event 65 is missing"),
    ],
)
async def test_check_says_which_segment_is_damaged(tmp_path: Path, damage: str, said: str) -> None:
    log = Log(tmp_path)
    await log.start()
    await log.append(*ticks(64))
    await log.append(*ticks(64))
    await log.journal.stop()
    assert transfer.check(log.path).events == 128
    db = connect(log.path)
    db.execute(f"UPDATE segments SET {damage}")
    db.close()
    with pytest.raises(transfer.Unsound, match=said):
        transfer.check(log.path)


async def test_check_finds_a_segment_that_is_missing(tmp_path: Path) -> None:
    log = Log(tmp_path, events=100)
    await log.start()
    for _ in range(3):
        await log.append(*ticks(64))
    await eventually(lambda: log.history.floor == 92)
    await log.journal.stop()
    db = connect(log.path)
    db.execute("DELETE FROM segments WHERE last = 128")  # the one in which the floor lies
    db.close()
    with pytest.raises(transfer.Unsound, match="event 93 is missing"):
        transfer.check(log.path)


# --- a file of version 4 --------------------------------------------------------------------------


def mixed(count: int, seed: int = 3) -> list[Draft]:
    dice = random.Random(seed)
    return [
        Draft(
            dice.choice(["tick", "tock"]),
            dice.randbytes(dice.choice([0, 5, 100, 3_000])),
            f"t/{dice.randrange(5)}",
            more_topics=("m/1",) if dice.random() < 0.1 else (),
            principal=dice.choice(["", "me"]),
        )
        for _ in range(count)
    ]


async def test_file_of_version_4_is_taken_over(tmp_path: Path) -> None:
    events = version_4.events_of(7_000, mixed(2_500), at_once=100)
    path = tmp_path / "journal.db"
    version_4.write(path, 7_000, events, floor=300, kept=[17, 250])
    keep = {"keep_newest": (("*", 1_000),)}
    log = Log(tmp_path, **keep)  # type: ignore[arg-type]
    opening = await log.start(events=1_000)
    assert opening.events == events[-1_000:]
    assert opening.floor == events[-1_001].id
    assert (log.history.floor, log.history.events) == (300, 2_200)
    assert log.history.oldest_time == events[300].time
    assert [*log.history.kept_newest.seqs] == [17, 250]
    assert log.history.bytes == encode_contents([event.draft for event in events[300:]]).bytes
    for filter in (EVERYTHING, Filter(["m/1"]), Filter(["t/3"], ["tock"])):
        assert seqs(await log.read_all(0, filter)) == matching(events[300:], filter)
    assert log.history.has_lost(0, Filter(["t/1"]))
    assert not log.history.has_lost(300, EVERYTHING)
    log.clock.wall = 2_000_000.0
    assert (await log.append(*ticks(1))).ids[0].seq == 2_501
    await log.journal.stop()
    assert transfer.check(path).events == 2_201
    db = connect(path)
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    assert (version_of(db), tables & {"events", "kept_rows"}) == (VERSION, set())
    db.close()


async def test_file_of_version_4_that_is_damaged_is_refused_and_left_as_it_is(
    tmp_path: Path,
) -> None:
    events = version_4.events_of(7_000, mixed(1_500), at_once=10)
    path = tmp_path / "journal.db"
    version_4.write(path, 7_000, events)
    db = connect(path)
    db.execute("UPDATE events SET record = x'00' WHERE seq = 1200")
    db.close()
    log = Log(tmp_path)
    with pytest.raises(SettingsError, match="not the records of events"):
        await log.start()
    db = connect(path)
    assert version_of(db) == 4
    assert db.execute("SELECT count(*) FROM events").fetchone()[0] == 1_500
    db.close()
