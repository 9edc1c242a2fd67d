"""How late events reach sockets, measured beside the fan-out and not inside of it.

A pass notes what it sent once per group and slice of streams; when the slice ends the notes are folded
into histograms, weighted by the deliveries they stand for. So a delivery costs nothing, and its time is
late by one slice at most, about a millisecond of system calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tocsin.hub.counters import Counters


class DeliveryLatency:
    """Observes `Counters.latency_s` (per delivery) and `Counters.fanout_s` (per group and batch).

    Args:
        counters: of the hub.
        clock: Unix time in seconds, the same that entries were accepted by.
    """

    def __init__(self, counters: Counters, clock: Callable[[], float]) -> None:
        self._counters = counters
        self._clock = clock
        self._notes: list[tuple[Sequence[float], int, bool]] = []
        self._of_one: list[tuple[float, int]] = []

    def note(self, times: Sequence[float], deliveries: int, is_last: bool) -> None:
        """Some streams of a group were sent a batch.

        Args:
            times: when its events were accepted, the oldest first; at least one if there are deliveries.
            deliveries: of all its events to all these streams.
            is_last: whether the group's last streams are among them.
        """
        if deliveries:
            self._notes.append((times, deliveries, is_last))

    def note_one(self, time: float, deliveries: int) -> None:
        """All streams of a group were sent one event, accepted at `time`: most of what small groups get."""
        if deliveries:
            self._of_one.append((time, deliveries))

    def fold(self) -> None:
        """Observe what was noted, as sent now."""
        if self._of_one:
            self._fold_of_one()
        if not self._notes:
            return
        now = self._clock()
        for times, deliveries, is_last in self._notes:
            oldest = times[:1]
            # Evenly: the streams that got fewer, because they joined since, are few.
            each, rest = divmod(deliveries, len(times))
            self._counters.latency_s.observe_since(now, times, each)
            if rest:
                self._counters.latency_s.observe_since(now, oldest, rest)
            if is_last:  # the oldest one waited longest, until the last stream had it
                self._counters.fanout_s.observe_since(now, oldest, 1)
        self._notes.clear()

    def _fold_of_one(self) -> None:
        now = self._clock()
        ages = [max(now - time, 0.0) for time, _ in self._of_one]
        self._counters.fanout_s.observe_each(ages)
        latency_s = self._counters.latency_s
        for age, (_, deliveries) in zip(ages, self._of_one, strict=True):
            latency_s.observe_times(age, deliveries)
        self._of_one.clear()
