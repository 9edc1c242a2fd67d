from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import pytest

from tocsin.core.event import Draft, Event, EventId
from tocsin.core.filters import EVERYTHING, Filter
from tocsin.eventlog import ring as ring_module
from tocsin.eventlog.ring import Entry, RingBuffer

EPOCH = 1_000
MINE = Filter(["mine"])


def entry(seq: int, topic: str = "default", data: bytes = b"{}", time: float = 0.0) -> Entry:
    return Entry.of(Event(EventId(EPOCH, seq), Draft("t", data, topic), time))


def ring(*topics: str, **limits: float) -> RingBuffer:
    """A ring with one event for each of `topics`."""
    limits = {"max_events": 100, "max_bytes": 1_000_000} | limits
    made = RingBuffer(EPOCH, **limits)  # type: ignore[arg-type]
    for seq, topic in enumerate(topics, 1):
        made.append([entry(seq, topic)], now=0.0)
    return made


def seqs(entries: list[Entry]) -> list[int]:
    return [entry.seq for entry in entries]


def read(made: RingBuffer, cursor: int, filter: Filter = EVERYTHING) -> list[int]:
    return seqs(made.read(cursor, filter, max_bytes=1_000_000).entries)


def test_entry_holds_the_encoded_block_and_gives_the_data_back() -> None:
    made = entry(7, data=b"one\ntwo")
    assert made.block == b"event: t\ndata: one\ndata: two\nid: 1000-7\n\n"
    assert made.data == b"one\ntwo"


def test_read_starts_after_the_cursor_and_ends_at_the_head() -> None:
    assert read(ring("a", "b", "c"), 1) == [2, 3]
    assert read(ring("a", "b", "c"), 3) == []


def test_read_gives_what_the_filter_lets_through_and_moves_the_cursor_over_the_rest() -> None:
    reading = ring("mine", "other", "mine", "other").read(0, MINE, max_bytes=1_000_000)
    assert (seqs(reading.entries), reading.cursor) == ([1, 3], 4)


def test_read_stops_behind_the_entry_that_fills_it() -> None:
    made = ring(*"abcdef")
    size = len(entry(1).block)
    reading = made.read(0, EVERYTHING, max_bytes=2 * size - 1)
    assert (seqs(reading.entries), reading.cursor) == ([1, 2], 2)
    assert made.read(0, EVERYTHING, max_bytes=10_000, max_events=3).cursor == 3


def test_read_looks_at_a_bounded_number_of_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_module, "SCAN_LIMIT", 3)
    reading = ring("a", "a", "a", "a", "mine").read(0, MINE, max_bytes=1_000)
    assert (reading.entries, reading.cursor) == ([], 3)


def test_newest_gives_the_last_page_in_order() -> None:
    assert seqs(ring("mine", "other", "mine", "mine").newest(MINE, 2, max_bytes=1_000)) == [3, 4]
    assert seqs(ring("mine").newest(MINE, 5, max_bytes=1_000)) == [1]


def test_append_refuses_a_hole() -> None:
    made = ring("a")
    with pytest.raises(ValueError, match="entry 3 where 2 is the next"):
        made.append([entry(3)], now=0.0)
    with pytest.raises(ValueError, match="entry 4 where 3 is the next"):
        made.append([entry(2), entry(4)], now=0.0)
    assert (made.head, len(made)) == (1, 1)


def test_batch_is_appended_as_its_events_one_by_one_are() -> None:
    topics = ["a", "b", "a", "c", "b", "a"]
    single, batch = ring(max_events=4), ring(max_events=4)
    entries = [entry(seq, topic) for seq, topic in enumerate(topics, 1)]
    for each in entries:
        single.append([each], now=0.0)
    batch.append(entries, now=0.0)
    assert read(batch, 0) == read(single, 0) == [3, 4, 5, 6]
    for made in (single, batch):
        assert (made.evicted["count"], made.has_lost(0, Filter(["a"]))) == (2, True)
        assert (made.has_lost(1, Filter(["a"])), made.has_lost(1, Filter(["b"]))) == (False, True)


def test_batch_larger_than_the_ring_leaves_its_newest() -> None:
    made = ring(max_events=2)
    made.append([entry(seq) for seq in range(1, 6)], now=0.0)
    assert (read(made, 0), made.head, made.floor) == ([4, 5], 5, 3)


def test_limit_by_count_evicts_the_oldest() -> None:
    made = ring(*"abcde", max_events=3)
    assert (read(made, 0), made.floor, len(made)) == ([3, 4, 5], 2, 3)
    assert made.evicted == {"count": 2, "bytes": 0, "age": 0}


def test_limit_by_bytes_evicts_the_oldest() -> None:
    size = len(entry(1, data=b"x" * 1_000).block)
    made = ring(max_bytes=2 * size + 400)  # the index takes 20 an event and 150 a topic
    for seq in range(1, 6):
        made.append([entry(seq, data=b"x" * 1_000)], now=0.0)
    assert (read(made, 0), made.bytes) == ([4, 5], 2 * size)
    assert made.evicted["bytes"] == 3


def test_entry_larger_than_the_whole_ring_is_evicted_at_once() -> None:
    made = ring(max_bytes=100)
    made.append([entry(1, data=b"x" * 200)], now=0.0)
    assert (len(made), made.bytes, made.floor, made.oldest) == (0, 0, 1, None)


def test_limit_by_age_evicts_what_is_older() -> None:
    made = ring(max_age_s=10.0)
    for seq, time in enumerate((0.0, 5.0, 9.0), 1):
        made.append([entry(seq, time=time)], now=time)
    made.expire(now=15.0)
    assert read(made, 0) == [2, 3]
    made.expire(now=100.0)
    assert (len(made), made.head, made.evicted["age"]) == (0, 3, 3)


def test_ring_stays_small_however_much_passes_through() -> None:
    made = ring(max_events=10)
    for seq in range(1, 10_001):
        made.append([entry(seq)], now=0.0)
    assert len(made._entries) <= 21
    assert read(made, 9_995) == [9_996, 9_997, 9_998, 9_999, 10_000]


def test_cursor_at_the_newest_evicted_has_lost_nothing() -> None:
    made = ring(*"abcde", max_events=3)
    assert [made.has_lost(cursor, EVERYTHING) for cursor in (1, 2, 3)] == [True, False, False]


def test_filtered_cursor_has_lost_something_only_if_its_own_was_evicted() -> None:
    made = ring("mine", "mine", "other", "other", "other", max_events=2)
    assert [made.has_lost(cursor, MINE) for cursor in (0, 1, 2)] == [True, True, False]


def test_filter_by_type_is_told_apart_from_other_types_of_its_topic() -> None:
    made = ring("mine", "mine", "mine", max_events=1)
    assert not made.has_lost(0, Filter(["mine"], ["other"]))
    assert made.has_lost(0, Filter([], ["t"]))


def test_more_topics_than_are_remembered_err_on_the_side_of_loss() -> None:
    made = ring("a", "b", "c", "d", "e", max_events=1, remembered_evictions=2)
    assert made.has_lost(0, MINE)
    assert made.has_lost(1, MINE)
    assert not made.has_lost(2, MINE)


@pytest.mark.parametrize(
    ("cursor", "filter", "expected"),
    [
        (0, EVERYTHING, 3),
        (2, EVERYTHING, 3),
        (4, EVERYTHING, 1),
        (5, EVERYTHING, 0),
        (0, MINE, 2),
        (3, MINE, 1),
    ],
)
def test_count_is_of_what_a_replay_would_send(cursor: int, filter: Filter, expected: int) -> None:
    assert ring("a", "mine", "mine", "a", "mine", max_events=3).count(cursor, filter) == expected


def test_log_taken_up_knows_that_what_came_before_is_gone() -> None:
    made = ring()
    made.start_at(41)
    made.append([entry(42)], now=0.0)
    assert (made.floor, read(made, 41)) == (41, [42])
    assert made.has_lost(40, MINE)
    assert not made.has_lost(41, MINE)


def test_event_with_several_topics_comes_once() -> None:
    made = ring()
    made.append([several(1, "a", "b"), several(2, "c"), several(3, "b", "mine", "a")], now=0.0)
    for filter, expected in (
        (Filter(["a", "b"]), [1, 3]),
        (Filter(["b*", "c"]), [1, 2, 3]),
        (Filter(["mine"], ["t"]), [3]),
    ):
        assert read(made, 0, filter) == expected
        assert made.count(0, filter) == len(expected)
        assert seqs(made.newest(filter, 9, max_bytes=1_000_000)) == expected


def test_eviction_of_an_event_is_a_loss_on_each_of_its_topics() -> None:
    made = ring(max_events=1)
    made.append([several(1, "other", "mine"), several(2, "a"), several(3, "b")], now=0.0)
    assert made.has_lost(0, MINE)
    assert not made.has_lost(1, MINE)


def test_page_passes_its_bytes_by_one_event_at_most() -> None:
    made = ring()
    made.append([entry(seq, "mine", b"x" * 900) for seq in range(1, 9)], now=0.0)
    assert seqs(made.read(0, MINE, max_bytes=2_000).entries) == [1, 2, 3]
    assert seqs(made.newest(MINE, 9, max_bytes=2_000)) == [6, 7, 8]


def test_search_back_says_where_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.eventlog.ring.NEWEST_LIMIT", 5)
    made = ring(*["mine", "other"] * 4)
    both = Filter(["mine", "other"], ["none"])
    assert made.before(9, both, 9, max_bytes=1_000) == ([], 4)
    assert made.before(4, both, 9, max_bytes=1_000) == ([], 1)
    assert made.before(1, both, 9, max_bytes=1_000) == ([], 1)
    assert made.before(0, both, 9, max_bytes=1_000) == ([], 0)
    found, before = made.before(9, MINE, 2, max_bytes=1_000)
    assert (seqs(found), before) == ([5, 7], 5)
    found, before = made.before(before, MINE, 9, max_bytes=1_000)
    assert (seqs(found), before) == ([1, 3], 1)


def test_each_of_a_hundred_thousand_topics_knows_whether_it_lost_something() -> None:
    made = ring(max_events=1_000)
    made.append([entry(seq, f"t/{seq}") for seq in range(1, 100_001)], now=0.0)
    made.append([entry(seq, "busy") for seq in range(100_001, 102_001)], now=0.0)
    for seq in (1, 50_000, 99_999):
        filters = Filter([f"t/{seq}"]), Filter([f"t/{seq}*", "no"], ["t"])
        assert [made.has_lost(seq - 1, filter) for filter in filters[:1]] == [True]
        assert not made.has_lost(seq, filters[0])
        assert made.has_lost(seq - 1, filters[1])
    assert not made.has_lost(100_000, Filter([f"none{n}*" for n in range(100)]))


def test_memory_of_topics_that_are_gone_is_given_back() -> None:
    made = ring(max_events=100, remembered_evictions=50)
    for seq in range(1, 30_001):
        made.append([entry(seq, f"t/{seq}")], now=0.0)
    assert made.count(0, Filter(["t/*"])) == 100
    assert len(made._index._topics) <= 102
    assert len(made._index._names) < 10_000
    assert len(made._evictions) == 50
    assert len(made._evictions._names) < 10_000


def test_topics_count_in_the_limit_by_bytes() -> None:
    few, many = (ring(max_events=10_000, max_bytes=65_536) for _ in range(2))
    for seq in range(1, 3_001):
        few.append([entry(seq, "mine")], now=0.0)
        many.append([entry(seq, f"t/{seq}")], now=0.0)
    assert len(few) > 1_000 > 400 > len(many) > 200
    assert many.bytes + many._index.bytes <= 65_536 * 1.01 + 1_000


def test_setting_the_clock_evicts_nothing() -> None:
    made = ring(max_age_s=3_600.0)
    made.append([entry(1, time=1_000_000.0)], now=0.0)
    made.append([entry(2, time=1_000_000.0 + 2 * 86_400)], now=1.0)
    assert made.expire(now=2.0) == (0, False)
    assert read(made, 0) == [1, 2]


def test_loaded_events_are_as_old_as_their_times_say() -> None:
    made = ring(max_age_s=100.0)
    made.load([entry(1, time=910.0), entry(2, time=950.0), entry(3, time=990.0)], 5.0, wall=1_000.0)
    assert made.expire(now=14.0) == (0, False)
    assert made.expire(now=16.0) == (1, False)
    assert made.expire(now=60.0) == (1, False)
    assert read(made, 0) == [3]


def test_loaded_events_are_in_the_index_before_anybody_asks() -> None:
    made = ring(max_events=5_000)
    made.load([entry(seq, f"t/{seq}") for seq in range(1, 4_001)], 0.0, wall=0.0)
    assert made._index.head == made.head == 4_000
    assert made.count(0, Filter(["t/1*"])) == 1_111


def test_loaded_event_is_no_younger_than_a_later_one() -> None:
    made = ring(max_age_s=100.0)
    made.load([entry(1, time=5_000.0), entry(2, time=950.0)], 0.0, wall=1_000.0)
    assert made.expire(now=51.0) == (2, False)


def test_jump_of_the_time_evicts_a_minutes_worth_at_a_time() -> None:
    made = ring(max_age_s=3_600.0)
    made.load(
        [entry(seq, time=1_000.0 + 10 * seq) for seq in range(1, 31)],
        0.0,
        wall=1_000.0 + 2 * 86_400,
    )
    evicted = []
    while True:
        expired = made.expire(now=1.0)
        evicted.append(expired.events)
        if not expired.is_behind:
            break
    assert evicted == [7, 7, 7, 7, 2]


def test_append_that_fails_anywhere_leaves_the_ring_as_it_was() -> None:
    """A line that raises, one after the other, stands for memory that runs out."""
    for line in range(1, 10_000):
        made, unharmed = busy_ring(), busy_ring()
        before = state(busy_ring())
        batch = [several(made.head + n, "a", f"new/{n}") for n in range(1, 9)]
        if not fails_at_line(line, partial(made.append, batch, now=50.0)):
            assert line > 100
            return
        assert state(made) == before == state(unharmed)
        made.append(batch, now=50.0)
        unharmed.append(batch, now=50.0)
        assert state(made) == state(unharmed) != before


def test_settling_that_fails_anywhere_is_done_again() -> None:
    for line in range(1, 10_000):
        made, unharmed = busy_ring(), busy_ring()
        if not fails_at_line(line, partial(made.has_lost, 1, Filter(["b*"]))):
            assert line > 50
            return
        assert state(made) == state(unharmed)


def test_settling_done_again_knows_each_topic_of_what_was_evicted() -> None:
    """The index that is made anew has no event with several topics: all of them were evicted."""
    for line in range(1, 10_000):
        made, unharmed = busy_ring(), busy_ring()
        for each in (made, unharmed):
            each.append([entry(each.head + n, "a") for n in range(1, 15)], now=50.0)
        if not fails_at_line(line, partial(made.has_lost, 1, Filter(["b*"]))):
            return
        assert state(made) == state(unharmed)


def test_what_is_too_old_leaves_the_memory_though_nothing_comes() -> None:
    made = ring(max_age_s=100.0)
    made.append([entry(seq, f"t/{seq}") for seq in range(1, 9)], now=0.0)
    assert made.expire(now=101.0).events == 8
    assert (len(made), made._entries, made._index._topics) == (0, [], {})


def several(seq: int, *topics: str) -> Entry:
    draft = Draft("t", b"{}", topics[0], more_topics=topics[1:])
    return Entry.of(Event(EventId(EPOCH, seq), draft, 0.0))


def busy_ring() -> RingBuffer:
    """A ring that evicts with each append, and has not settled what came last."""
    made = ring(max_events=12, max_bytes=4_000, max_age_s=1_000.0, remembered_evictions=6)
    for seq in range(1, 41):
        made.append([several(seq, f"b/{seq % 11}", f"c/{seq % 3}")], now=float(seq))
    return made


def state(made: RingBuffer) -> list[object]:
    """All that can be asked of a ring."""
    filters = [EVERYTHING, Filter(["b/1", "a"]), Filter(["b*"]), Filter(["c*", "new*"], ["t"])]
    answers = [
        (
            read(made, 0, filter),
            made.count(0, filter),
            [made.has_lost(cursor, filter) for cursor in range(made.head)],
        )
        for filter in filters
    ]
    return [made.head, made.floor, made.bytes, len(made), dict(made.evicted), *made._times, answers]


def fails_at_line(line: int, call: Callable[[], object]) -> bool:
    """Call it, and raise at the `line`-th line that runs inside the log; False if it ended before."""
    left = line

    def trace(frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        nonlocal left
        if "tocsin/eventlog" not in frame.f_code.co_filename:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                raise MemoryError
        return trace

    traced = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except MemoryError:
        return True
    finally:
        sys.settrace(traced)
    return False
