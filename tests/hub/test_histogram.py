from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.hub.counters import LATENCY_BOUNDS_S, Histogram

NOW = 1_700_000_000.0
TIMES = st.lists(st.integers(-2_000, 10_000).map(lambda ms: NOW - ms / 1_000), min_size=1)


@given(times=TIMES.map(sorted), weight=st.integers(0, 1_000))
def test_ages_of_many_count_as_each_would(times: list[float], weight: int) -> None:
    together, one_by_one = Histogram(LATENCY_BOUNDS_S), Histogram(LATENCY_BOUNDS_S)
    together.observe_since(NOW + 0.0001, times, weight)
    for time in times:
        one_by_one.observe_each([max(NOW + 0.0001 - time, 0.0)] * weight)
    assert together.counts == one_by_one.counts
    assert together.sum == pytest.approx(one_by_one.sum, abs=1e-4 * max(weight, 1))


@given(values=st.lists(st.integers(0, 200_000)))
def test_values_counted_at_once_count_as_each_would(values: list[int]) -> None:
    together, one_by_one = Histogram((0, 1, 10, 100_000)), Histogram((0, 1, 10, 100_000))
    together.observe_each(values)
    for value in values:
        one_by_one.observe(value)
    assert (together.counts, together.sum) == (one_by_one.counts, one_by_one.sum)
