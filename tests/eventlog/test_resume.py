from __future__ import annotations

import pytest

from tests.eventlog.kept import KeptHistory
from tests.eventlog.test_ring import EPOCH, MINE, ring
from tocsin.core.event import Draft, Event, EventId
from tocsin.core.filters import EVERYTHING, Filter
from tocsin.eventlog.resume import Gap, Resume, id_ahead, resolve


def test_no_id_begins_at_the_head() -> None:
    assert resolve("", ring("a", "b"), EVERYTHING) == Resume(2, f"{EPOCH}-2")


def test_id_in_the_ring_begins_after_it() -> None:
    assert resolve(f"{EPOCH}-1", ring("a", "b", "c"), EVERYTHING) == Resume(
        1, f"{EPOCH}-1", True, 2
    )


def test_earliest_begins_with_the_oldest_kept_and_is_no_gap() -> None:
    made = ring(*"abcde", max_events=2)
    assert resolve("earliest", made, EVERYTHING) == Resume(3, f"{EPOCH}-3", True, 2)


def test_evicted_id_begins_with_the_oldest_kept_and_counts_what_is_missing() -> None:
    resumed = resolve(f"{EPOCH}-1", ring(*"abcde", max_events=2), EVERYTHING)
    gap = Gap("evicted", f"{EPOCH}-1", f"{EPOCH}-4", 2)
    assert resumed == Resume(3, f"{EPOCH}-3", True, 2, gap)


def test_quiet_filtered_id_keeps_standing_for_what_the_client_has() -> None:
    made = ring("mine", "a", "a", "a", "mine", max_events=2)
    assert resolve(f"{EPOCH}-1", made, MINE) == Resume(3, f"{EPOCH}-1", True, 1)


@pytest.mark.parametrize(
    ("id", "reason"),
    [
        (f"{EPOCH - 1}-99", "restart"),
        (f"{EPOCH}-3", "unknown"),
        (f"{EPOCH + 1}-1", "unknown"),
        ("nonsense", "unknown"),
        ("é✓", "unknown"),
        ("1-1,2-2", "unknown"),
    ],
)
@pytest.mark.parametrize("filter", [EVERYTHING, MINE])
def test_id_of_no_event_of_this_log_is_a_gap_of_unknown_size(
    id: str, reason: str, filter: Filter
) -> None:
    resumed = resolve(id, ring("a", "b"), filter)
    assert resumed.gap is not None
    assert (resumed.gap.reason, resumed.gap.missed, resumed.cursor) == (reason, None, 0)


def test_long_id_is_shortened_in_the_gap() -> None:
    resumed = resolve("x" * 5_000, ring(), EVERYTHING)
    assert resumed.gap is not None
    assert len(resumed.gap.requested) == 128


def test_gap_in_an_empty_log_has_no_oldest() -> None:
    resumed = resolve("1-1", ring(), EVERYTHING)
    assert resumed == Resume(0, f"{EPOCH}-0", True, 0, Gap("restart", "1-1", None, None))


@pytest.mark.parametrize(
    ("ids", "welcome_id"),
    [
        ((f"{EPOCH}-1", f"{EPOCH}-3"), f"{EPOCH}-3"),
        ((f"{EPOCH}-3", f"{EPOCH}-1"), f"{EPOCH}-3"),
        ((f"{EPOCH - 1}-9", f"{EPOCH}-2"), f"{EPOCH}-2"),
        ((f"{EPOCH}-2", f"{EPOCH + 1}-1", f"{EPOCH}-9"), f"{EPOCH}-2"),
        (("earliest", f"{EPOCH}-2"), f"{EPOCH}-2"),
        (("", f"{EPOCH}-2"), f"{EPOCH}-2"),
        (("", "earliest"), f"{EPOCH}-0"),
        (("", ""), f"{EPOCH}-4"),
        ((), f"{EPOCH}-4"),
    ],
)
def test_of_several_ids_the_newest_of_this_log_counts(
    ids: tuple[str, ...], welcome_id: str
) -> None:
    resumed = resolve(ids, ring(*"abcd"), EVERYTHING)
    assert (resumed.welcome_id, resumed.gap) == (welcome_id, None)


def test_of_several_ids_of_no_event_the_first_is_told() -> None:
    resumed = resolve(("", f"{EPOCH - 1}-9", "nonsense"), ring("a"), EVERYTHING)
    assert resumed.gap is not None
    assert (resumed.gap.reason, resumed.gap.requested) == ("restart", f"{EPOCH - 1}-9")


# --- where the journal keeps more than the window -------------------------------------------------


def kept(*topics: str, trimmed: int = 0) -> KeptHistory:
    """A history of events on these topics, of which the first `trimmed` were evicted."""
    history = KeptHistory(EPOCH)
    history.log = [
        Event(EventId(EPOCH, seq), Draft("t", b"{}", topic), 1.0)
        for seq, topic in enumerate(topics, 1)
    ]
    history.floor = trimmed
    return history


def test_id_that_left_the_window_and_not_the_journal_is_no_gap() -> None:
    made = ring(*"abcdef", max_events=2)
    resumed = resolve(f"{EPOCH}-1", made, EVERYTHING, kept(*"abcdef"))
    assert resumed == Resume(1, f"{EPOCH}-1", True, 5)


def test_replay_that_only_the_journal_could_count_is_not_counted() -> None:
    made = ring("mine", *"abcd", max_events=2)
    resumed = resolve(f"{EPOCH}-0", made, MINE, kept("mine", *"abcd"))
    assert resumed == Resume(0, f"{EPOCH}-0", True, None)


def test_filtered_replay_that_is_all_in_the_window_is_counted() -> None:
    made = ring("mine", *"abc", "mine", max_events=2)
    resumed = resolve(f"{EPOCH}-1", made, MINE, kept("mine", *"abc", "mine"))
    assert resumed == Resume(1, f"{EPOCH}-1", True, 1)


def test_id_that_the_journal_lost_is_a_gap_up_to_its_oldest() -> None:
    made = ring(*"abcdef", max_events=2)
    resumed = resolve(f"{EPOCH}-1", made, EVERYTHING, kept(*"abcdef", trimmed=3))
    gap = Gap("evicted", f"{EPOCH}-1", f"{EPOCH}-4", 2)
    assert resumed == Resume(3, f"{EPOCH}-3", True, 3, gap)


@pytest.mark.parametrize("id", ["nonsense", f"{EPOCH}-99", f"{EPOCH - 1}-1"])
def test_client_without_an_id_of_this_log_gets_all_that_the_journal_keeps(id: str) -> None:
    made = ring(*"abcdef", max_events=2)
    resumed = resolve(id, made, EVERYTHING, kept(*"abcdef", trimmed=1))
    assert (resumed.cursor, resumed.welcome_id, resumed.replayed) == (1, f"{EPOCH}-1", 5)
    assert resumed.gap is not None
    assert (resumed.gap.oldest, resumed.gap.missed) == (f"{EPOCH}-2", None)


def test_earliest_is_the_oldest_that_the_journal_keeps() -> None:
    made = ring(*"abcdef", max_events=2)
    resumed = resolve("earliest", made, EVERYTHING, kept(*"abcdef", trimmed=1))
    assert resumed == Resume(1, f"{EPOCH}-1", True, 5)


@pytest.mark.parametrize(
    ("ids", "ahead"),
    [
        (f"{EPOCH}-2", None),
        (f"{EPOCH}-3", EventId(EPOCH, 3)),
        (f"{EPOCH + 1}-1", EventId(EPOCH + 1, 1)),
        ((f"{EPOCH}-1", f"{EPOCH}-9", f"{EPOCH}-7"), EventId(EPOCH, 9)),
        ((f"{EPOCH - 1}-99", "nonsense", ""), None),
        ("earliest", None),
        ((), None),
    ],
)
def test_newest_id_is_ahead_where_this_process_has_not_come_to_it(
    ids: str | tuple[str, ...], ahead: EventId | None
) -> None:
    assert id_ahead(ids, ring("a", "b")) == ahead
