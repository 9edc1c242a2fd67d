"""Idempotency keys in memory: what was appended under each of the newest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tocsin.core.event import EventId
from tocsin.errors import KeyReused
from tocsin.eventlog.journal.base import Committed, Once, Outcome


class Appended(NamedTuple):
    """What was appended under a key: the first id, and how many follow one another from there."""

    digest: bytes
    first: EventId
    events: int
    time: float

    def outcome(self, once: Once) -> Outcome:
        """What the publisher is told who comes with this key again."""
        if once.digest != self.digest:
            return KeyReused(once.key)
        epoch, first = self.first
        ids = [EventId(epoch, seq) for seq in range(first, first + self.events)]
        return Committed(ids, is_duplicate=True)


Place = tuple[str, str]
"""A publisher and their key."""


class KnownKeys:
    """The newest keys, each for as long as it is known.

    Args:
        most: how many are known.
        window_s: for how many seconds each of them is.
    """

    def __init__(self, most: int, window_s: float) -> None:
        self._most = most
        self._window_s = window_s
        self._known: dict[Place, Appended] = {}  # the oldest first

    def __len__(self) -> int:
        return len(self._known)

    def find(self, once: Once, now: float) -> Appended | None:
        """What was appended under the key of `once`, if it is known at `now` (Unix seconds)."""
        known = self._known.get((once.scope, once.key))
        return known if known and now - known.time <= self._window_s else None

    def add(self, appended: Mapping[Place, Appended]) -> None:
        """Know these too, and forget what is older than the window or one too many."""
        for place, what in appended.items():
            self._known.pop(place, None)
            self._known[place] = what
            self._forget(what.time)

    def _forget(self, now: float) -> None:
        """Forget the oldest; two at most for each that comes, so that no append pays for thousands."""
        for _ in range(2):
            place = next(iter(self._known), None)
            if place is None:
                return
            is_old = now - self._known[place].time > self._window_s
            if not is_old and len(self._known) <= self._most:
                return
            del self._known[place]
