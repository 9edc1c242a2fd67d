"""How late events reach sockets, measured beside the fan-out and not inside of it.

A pass notes what it sent once per group and slice of streams; when the slice ends the notes are folded
into histograms, weighted by the deliveries they stand for. So a delivery costs nothing, and its time is
late by one slice at most, about a millisecond of system calls.
"""

from __future__ import annotations

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

    def note(self, entries: Sequence[Entry], deliveries: int, *, is_last: bool) -> None:
        """`entries` went to some streams of a group, `deliveries` in all; `is_last`: to its last ones."""
        if deliveries:
            self._notes.append((entries, deliveries, is_last))

    def fold(self) -> None:
        """Observe what was noted, as sent now."""
        now = self._clock()
        notes, self._notes = self._notes, []
        for entries, deliveries, is_last in notes:
            if is_last:
                # The oldest one waited longest, until the last stream had it.
                self._tally.fanout_s.observe(max(now - entries[0].time, 0.0))
            self._observe(entries, deliveries, now)

    def _observe(self, entries: Sequence[Entry], deliveries: int, now: float) -> None:
        """Spread `deliveries` over `entries`, evenly: streams that got fewer are few.

        The events of one request bear one time, and are observed as one.
        """
        each, rest = divmod(deliveries, len(entries))
        time, weight = entries[0].time, rest
        for entry in entries:
            if entry.time != time:
                self._tally.latency_s.observe(max(now - time, 0.0), weight)
                time, weight = entry.time, 0
            weight += each
        self._tally.latency_s.observe(max(now - time, 0.0), weight)
