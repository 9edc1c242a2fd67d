"""What was sent when, and what was read when: from which the latencies follow afterwards.

While the load runs, the ledger only appends; matching is done at the end. Positions count the events
of a stream from 0; all streams of one topic have the same event at the same position. Numbers count
the events as they were sent; with many publishers the two orders differ. Times are ns, monotonic.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from tocsin.bench.latency import Latencies
from tocsin.bench.marks import Trail


class Stretch(NamedTuple):
    """Positions `first` up to but not including `end`, read at one moment."""

    first: int
    end: int
    at_ns: int


class Ledger:
    """The books of one load.

    `trail` tells which number stands at which position; without it (many topics) there is no latency
    of deliveries, only of answers.
    """

    def __init__(self) -> None:
        self.trail = Trail()
        self.sent_ns: list[int] = []
        """By number: the moment before the first byte of the event's POST was sent."""
        self.everywhere: list[Stretch] = []
        """Positions that the last stream of all has now read too."""
        self.sampled: list[Stretch] = []
        """What the sampled streams read, each stream on its own."""
        self.answers_ns: list[int] = []
        """How long the answer to each POST took."""
        self.errors: Counter[str] = Counter()

    def forget(self) -> None:
        """End of the warm-up: keep the numbering, drop the measurements."""
        for measurements in (self.everywhere, self.sampled, self.answers_ns):
            measurements.clear()
        self.errors.clear()

    def fan_out_latencies(self) -> Latencies:
        """From a POST's first byte to the last stream's reading of its event."""
        return self._latencies(self.everywhere)

    def delivery_latencies(self) -> Latencies:
        """From a POST's first byte to the reading of its event, on the sampled streams."""
        return self._latencies(self.sampled)

    def answer_latencies(self) -> Latencies:
        """From a POST's first byte to its answer."""
        return Latencies.of_ns(self.answers_ns)

    def _latencies(self, stretches: list[Stretch]) -> Latencies:
        numbers, sent_ns = self.trail.numbers, self.sent_ns
        known = len(numbers)
        return Latencies.of_ns(
            at_ns - sent_ns[numbers[position]]
            for first, end, at_ns in stretches
            for position in range(first, min(end, known))
            if numbers[position] < len(sent_ns)
        )
