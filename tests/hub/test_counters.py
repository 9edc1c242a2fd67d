from __future__ import annotations

from tocsin.core.event import Draft, Event, EventId
from tocsin.hub.counters import SETTLE_EVERY, Counters, Histogram


def event(source: str = "api") -> Event:
    return Event(EventId(1, 1), Draft("tick", b"{}", source=source), 1.0)


def test_histogram_counts_up_to_and_with_the_bound() -> None:
    histogram = Histogram((1, 10))
    for value in (0.5, 1, 1.1, 10, 11):
        histogram.observe(value)
    assert (histogram.counts, histogram.sum) == ([2, 2, 1], 23.6)


def test_ages_count_as_often_as_they_weigh() -> None:
    histogram = Histogram((1,))
    histogram.observe_since(10.0, [8.0], weight=1_000)
    assert (histogram.counts, histogram.sum) == ([0, 1_000], 2_000)


def test_histograms_are_settled_after_some_hundred_events() -> None:
    counters = Counters()
    for _ in range(SETTLE_EVERY - 1):
        counters.count_published([event()], sizes=[60], recipients=[2])
    assert len(counters.event_bytes._unsorted) == SETTLE_EVERY - 1
    counters.count_published([event()], sizes=[60], recipients=[2])
    assert not counters.event_bytes._unsorted
    assert counters.event_bytes.counts[0] == SETTLE_EVERY


def test_source_nobody_foresaw_is_counted_as_other() -> None:
    counters = Counters()
    counters.count_accepted([event("plugin").draft])
    assert counters.published == {"api": 0, "simulation": 0, "other": 1}


def test_rates_are_over_the_samples_of_the_last_ten_seconds() -> None:
    counters = Counters()
    assert counters.rates() == {"published": 0.0, "delivered": 0.0}
    for second in range(30):
        counters.sample(float(second))
        counters.count_published([event()], sizes=[60], recipients=[5])
        counters.delivered_live += 5
    assert counters.rates() == {"published": 1.0, "delivered": 5.0}
