from __future__ import annotations

import pytest

from tests.eventlog.test_ring import EPOCH, MINE, ring
from tocsin.core.filters import EVERYTHING, Filter
from tocsin.eventlog.resume import Gap, Resume, resolve


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
