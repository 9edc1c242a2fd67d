from __future__ import annotations

from tocsin.punctuality import Punctuality
from tocsin.tally import Tally


def punctuality(now: float) -> tuple[Punctuality, Tally]:
    tally = Tally()
    return Punctuality(tally, lambda: now), tally


def by_bound(tally: Tally) -> dict[float, int]:
    """The latencies observed: upper bound to count, without empty buckets."""
    bounds = [*tally.latency_s.bounds, float("inf")]
    return {b: n for b, n in zip(bounds, tally.latency_s.counts, strict=True) if n}


def test_each_delivery_counts_with_the_latency_of_its_event() -> None:
    times, tally = punctuality(now=100.0)
    times.note([99.0, 99.8], 20, True)
    times.fold()
    assert by_bound(tally) == {1: 10, 0.25: 10}
    assert round(tally.latency_s.sum, 6) == 12.0


def test_events_of_one_request_are_observed_as_one() -> None:
    times, tally = punctuality(now=100.0)
    times.note([99.6] * 50, 50 * 7, True)
    times.fold()
    assert by_bound(tally) == {0.5: 350}


def test_deliveries_that_do_not_divide_evenly_are_all_counted() -> None:
    times, tally = punctuality(now=100.0)
    times.note([99.0, 99.8, 99.8], 8, True)
    times.fold()
    assert sum(tally.latency_s.counts) == 8


def test_fan_out_lasts_from_the_oldest_event_to_the_last_stream() -> None:
    times, tally = punctuality(now=100.0)
    times.note([98.0, 99.0], 2, False)
    times.note([98.0, 99.0], 2, True)
    times.fold()
    assert (sum(tally.fanout_s.counts), tally.fanout_s.sum) == (1, 2.0)


def test_what_reached_nobody_is_not_observed() -> None:
    times, tally = punctuality(now=100.0)
    times.note([99.0], 0, True)
    times.fold()
    assert sum(tally.latency_s.counts) == sum(tally.fanout_s.counts) == 0


def test_clock_that_was_set_back_counts_as_no_latency() -> None:
    times, tally = punctuality(now=100.0)
    times.note([160.0], 3, True)
    times.fold()
    assert by_bound(tally) == {0.0005: 3}
    assert tally.latency_s.sum == 0
