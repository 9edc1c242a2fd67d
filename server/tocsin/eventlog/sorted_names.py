"""Names in order, to find those that begin alike: new ones and dead ones cost little and never much at once.

A single sorted list would move half of a million names for each new one, and a publisher chooses how many
topics there are. So the names are in chunks, and what changes is worked in together: new names wait until
they are some thousands or somebody asks, dead ones stay until their chunk is swept.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Iterator

CHUNK = 512
"""Names in a chunk; it is split at twice as many."""

FRESH = 1_024
"""New names that wait to be worked in: 1 ms for who asks first, 5 ms among a million names."""

FEW = 8
"""New names for one chunk that are put in one by one; sorting looks at the whole chunk."""

AFTER_ALL = "\x7f"
"""Comes after any character that a topic may hold."""


class SortedNames:
    """The names that are in `live`, in order.

    Args:
        live: what is alive now; the caller keeps it, and tells of changes by `add` and `note_dead`.
    """

    def __init__(self, live: Collection[str]) -> None:
        self._live = live
        self._chunks: list[list[str]] = []
        self._lasts: list[str] = []  # the last name of each chunk
        self._fresh: list[str] = []
        self._unpaid = 0  # names that are to be looked at, because others died
        self._next = 0  # the chunk that is swept next
        self._is_sure = True  # else a change was cut off, and all is made anew from `live`

    def add(self, names: Iterable[str]) -> None:
        """Take in names that are alive and were not. One that died a short while ago may be among them."""
        self._fresh += names
        if len(self._fresh) > FRESH:
            self._work_in()

    def note_dead(self, count: int) -> None:
        """So many names left `live`. Each pays for a look at two others, so that the dead stay few."""
        if not self._live:
            self._chunks, self._lasts, self._fresh, self._unpaid = [], [], [], 0
            return
        self._unpaid += 2 * count
        while self._unpaid > CHUNK:
            if not self._chunks or not self._is_sure:
                self._unpaid = 0
                return
            self._next %= len(self._chunks)
            self._unpaid -= max(len(self._chunks[self._next]), 1)
            self._sweep(self._next)

    def distrust(self) -> None:
        """Make all anew when somebody asks next: `add` may not have been told of all names."""
        self._is_sure = False

    def beginning_with(self, prefix: str) -> Iterator[list[str]]:
        """The names that begin so, in order, some hundreds at a time; dead ones and doubles may be among them."""
        if self._fresh or not self._is_sure:
            self._work_in()
        end = prefix + AFTER_ALL
        for number in range(bisect_left(self._lasts, prefix), len(self._chunks)):
            chunk = self._chunks[number]
            first, last = bisect_left(chunk, prefix), bisect_left(chunk, end)
            if first < last:
                yield chunk[first:last]
            if last < len(chunk):
                return

    def _work_in(self) -> None:
        """Put the new names into their chunks."""
        if not self._is_sure:
            self._chunks, self._lasts, self._fresh = [], [], list(self._live)
        self._is_sure = False
        fresh = sorted(filter(self._live.__contains__, self._fresh))
        first = 0
        while first < len(fresh):
            if not self._chunks:
                self._chunks, self._lasts = [[]], [""]
            number = min(bisect_left(self._lasts, fresh[first]), len(self._chunks) - 1)
            last = len(fresh)
            if number < len(self._chunks) - 1:
                last = bisect_right(fresh, self._lasts[number], first)
            self._put(number, fresh[first:last])
            first = last
        self._fresh = []
        self._is_sure = True

    def _put(self, number: int, names: list[str]) -> None:
        """Put `names`, which are sorted, into a chunk, and split it where it grew too long."""
        chunk = self._chunks[number]
        if len(names) > FEW:
            chunk += names
            chunk.sort()
        else:
            for name in names:
                insort(chunk, name)
        self._lasts[number] = chunk[-1]
        if len(chunk) > 2 * CHUNK:
            self._replace(number, number + 1, chunk)

    def _sweep(self, number: int) -> None:
        """Let the dead names and the doubles of a chunk go; join it with the one before if both are short."""
        self._is_sure = False
        names = list(dict.fromkeys(filter(self._live.__contains__, self._chunks[number])))
        end = number + 1
        if number > 0 and len(self._chunks[number - 1]) + len(names) <= CHUNK:
            number -= 1
            names = self._chunks[number] + names
        self._next = number + self._replace(number, end, names)
        self._is_sure = True

    def _replace(self, number: int, end: int, names: list[str]) -> int:
        """Put `names` in the place of the chunks from `number` to before `end`; in how many chunks."""
        parts = [names[first : first + CHUNK] for first in range(0, len(names), CHUNK)]
        lasts = [part[-1] for part in parts]
        self._chunks[number:end], self._lasts[number:end] = parts, lasts
        return len(parts)

    def __len__(self) -> int:
        """How many names are held, dead ones and doubles included."""
        return sum(map(len, self._chunks)) + len(self._fresh)
