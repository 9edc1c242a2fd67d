"""How late events reach sockets, measured beside the fan-out and not inside of it.

A pass notes what it sent once per group and slice of streams; when the slice ends the notes are folded
into histograms, weighted by the deliveries they stand for. So a delivery costs nothing, and its time is
late by one slice at most, about a millisecond of system calls.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from tocsin.ring import Entry
from tocsin.tally import Tally


class Punctuality:
    """Observes `Tally.latency_s` (per delivery) and `Tally.fanout_s` (per group and batch).

    Args:
        tally: of the hub.
        clock: Unix time in seconds, the same that entries were accepted by.
    """

    def __init__(self, tally: Tally, clock: Callable[[], float]) -> None:
        self._tally = tally
        self._clock = clock
        self._notes: list[tuple[Sequence[Entry], int, bool]] = []

    def note(self, entries: Sequence[Entry], deliveries: int, is_last: bool) -> None:
        """`entries` went to some streams of a group, `deliveries` in all; `is_last`: to its last ones."""
        if deliveries:
            self._notes.append((entries, deliveries, is_last))

    def fold(self) -> None:
        """Observe what was noted, as sent now. What bears one time is observed as one."""
        if not self._notes:
            return
        now = self._clock()
        deliveries_at: defaultdict[float, int] = defaultdict(int)
        batches_at: defaultdict[float, int] = defaultdict(int)
        for entries, deliveries, is_last in self._notes:
            oldest = entries[0].time
            if is_last:  # the oldest one waited longest, until the last stream had it
                batches_at[oldest] += 1
            if len(entries) == 1:
                deliveries_at[oldest] += deliveries
                continue
            # Evenly: the streams that got fewer, because they joined since, are few.
            each, rest = divmod(deliveries, len(entries))
            deliveries_at[oldest] += rest
            for entry in entries:
                deliveries_at[entry.time] += each
        self._notes.clear()
        self._tally.latency_s.observe_since(now, deliveries_at)
        self._tally.fanout_s.observe_since(now, batches_at)
