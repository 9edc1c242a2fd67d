"""The topics and types of the events that went by, for when they leave the log.

Redis trims, and tells nobody what. A node that saw the events go by knows: so it can say without asking whether a
stream lost something. It needs 4 bytes an event, and some hundreds for each combination of topics and type.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from operator import attrgetter

from tocsin.core.event import Event
from tocsin.core.filters import Filter
from tocsin.eventlog.entry import Entry
from tocsin.eventlog.evictions import Evictions

UNKNOWN = 0
"""The number of the kind of an event that nobody here knows."""

Kind = tuple[str, tuple[str, ...]]
"""An event's type and topics."""


class Passed:
    """What went by, from a place in the log on.

    Args:
        floor: the newest seq that is known to have left the log, whatever it was.
        limit: how many pairs of topic and type that left are remembered; twice as many kinds are known.
    """

    def __init__(self, floor: int, limit: int) -> None:
        self.floor = floor
        self._evictions = Evictions(limit)
        self._evictions.forgotten = floor
        self._limit = 2 * limit
        self._kinds: list[Kind | None] = [None]
        self._numbers: dict[Kind, int] = {}
        self._counts: list[int] = [0]
        self._free: list[int] = []
        self._passed = array("I")  # a number for each seq above the floor

    def skip(self, upto: int) -> None:
        """Events up to this one are in the log, but weren't seen."""
        self._passed.extend([UNKNOWN] * (upto - self.floor - len(self._passed)))

    def add(self, events: Sequence[Event]) -> None:
        """Note the next events."""
        for event in events:
            number = self._number((event.draft.type, event.draft.topics))
            self._counts[number] += 1
            self._passed.append(number)

    def let_go(self, floor: int) -> None:
        """Everything up to `floor` left the log."""
        gone = self._passed[: floor - self.floor]
        if not gone:
            return
        # Of each kind the newest: the work is the dictionary's, 50 ns an event.
        newest = dict(zip(gone, range(self.floor + 1, self.floor + 1 + len(gone)), strict=True))
        forgotten = newest.pop(UNKNOWN, 0)
        self._evictions.forgotten = max(self._evictions.forgotten, forgotten)
        entries = [self._entry(number, seq) for number, seq in newest.items()]
        entries.sort(key=attrgetter("seq"))
        self._evictions.remember(entries, several=True)
        for number, count in Counter(gone).items():
            self._drop(number, count)
        del self._passed[: len(gone)]
        self.floor += len(gone)

    def has_lost(self, seq: int, filter: Filter) -> bool:
        """Whether something that `filter` lets through left the log after `seq`; errs on the side of yes."""
        if seq >= self.floor:
            return False
        return filter.is_everything or self._evictions.has_lost(seq, filter)

    def _number(self, kind: Kind) -> int:
        number = self._numbers.get(kind)
        if number is not None:
            return number
        if len(self._numbers) >= self._limit:
            return UNKNOWN
        if self._free:
            number = self._free.pop()
            self._kinds[number] = kind
        else:
            number = len(self._kinds)
            self._kinds.append(kind)
            self._counts.append(0)
        self._numbers[kind] = number
        return number

    def _drop(self, number: int, count: int) -> None:
        self._counts[number] -= count
        kind = self._kinds[number]
        if kind and not self._counts[number]:
            del self._numbers[kind]
            self._kinds[number] = None
            self._free.append(number)

    def _entry(self, number: int, seq: int) -> Entry:
        kind = self._kinds[number]
        assert kind
        type, (topic, *more_topics) = kind
        return Entry(seq, topic, type, 0.0, b"", tuple(more_topics))
