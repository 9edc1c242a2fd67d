from __future__ import annotations

from tocsin.hub.counters import Counters
from tocsin.hub.delivery_latency import DeliveryLatency


def delivery_latency(now: float) -> tuple[DeliveryLatency, Counters]:
    counters = Counters()
    return DeliveryLatency(counters, lambda: now), counters


def by_bound(counters: Counters) -> dict[float, int]:
    """The latencies observed: upper bound to count, without empty buckets."""
    bounds = [*counters.latency_s.bounds, float("inf")]
    return {b: n for b, n in zip(bounds, counters.latency_s.counts, strict=True) if n}


def test_each_delivery_counts_with_the_latency_of_its_event() -> None:
    times, counters = delivery_latency(now=100.0)
    times.note([99.0, 99.8], 20, True)
    times.fold()
    assert by_bound(counters) == {1: 10, 0.25: 10}
    assert round(counters.latency_s.sum, 6) == 12.0


def test_events_of_one_request_are_observed_as_one() -> None:
    times, counters = delivery_latency(now=100.0)
    times.note([99.6] * 50, 50 * 7, True)
    times.fold()
    assert by_bound(counters) == {0.5: 350}


def test_deliveries_that_do_not_divide_evenly_are_all_counted() -> None:
    times, counters = delivery_latency(now=100.0)
    times.note([99.0, 99.8, 99.8], 8, True)
    times.fold()
    assert sum(counters.latency_s.counts) == 8


def test_fan_out_lasts_from_the_oldest_event_to_the_last_stream() -> None:
    times, counters = delivery_latency(now=100.0)
    times.note([98.0, 99.0], 2, False)
    times.note([98.0, 99.0], 2, True)
    times.fold()
    assert (sum(counters.fanout_s.counts), counters.fanout_s.sum) == (1, 2.0)


def test_what_reached_nobody_is_not_observed() -> None:
    times, counters = delivery_latency(now=100.0)
    times.note([99.0], 0, True)
    times.fold()
    assert sum(counters.latency_s.counts) == sum(counters.fanout_s.counts) == 0


def test_clock_that_was_set_back_counts_as_no_latency() -> None:
    times, counters = delivery_latency(now=100.0)
    times.note([160.0], 3, True)
    times.fold()
    assert by_bound(counters) == {0.0005: 3}
    assert counters.latency_s.sum == 0
