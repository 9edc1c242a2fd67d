"""Who reads streams, as far as the hub knows them: by name, and when they have to end."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tocsin.hub.stream import Stream


class Reader(Protocol):
    """Who opened a stream, where there is authentication."""

    @property
    def name(self) -> str:
        """As people know them; empty for who said nothing."""

    @property
    def expires_at(self) -> float:
        """The Unix time at which their streams end; may be infinite."""

    @property
    def reads_everything(self) -> bool:
        """Whether no topic is hidden from them."""


class Expiries:
    """When streams end because their readers' credentials do; nothing for those that don't end so.

    A stream that closes before leaves its entry behind: it goes when its time has come, or when most are such.
    """

    def __init__(self) -> None:
        self._due: list[tuple[float, int]] = []

    def add(self, stream: Stream) -> None:
        """Know when `stream` has to end."""
        if stream.reader and stream.reader.expires_at != math.inf:
            heapq.heappush(self._due, (stream.reader.expires_at, stream.number))

    def take(self, now: float, streams: dict[int, Stream]) -> list[Stream]:
        """Those of the open `streams` whose time has come, each once."""
        due: list[Stream] = []
        while self._due and self._due[0][0] <= now:
            stream = streams.get(heapq.heappop(self._due)[1])
            if stream:
                due.append(stream)
        if len(self._due) > 2 * len(streams) + 1_000:
            self._due = [entry for entry in self._due if entry[1] in streams]
            heapq.heapify(self._due)
        return due

    def count_until(self, until: float, streams: dict[int, Stream]) -> int:
        """How many of the open `streams` end by the Unix time `until`."""
        return sum([at <= until and number in streams for at, number in self._due])

    def __len__(self) -> int:
        return len(self._due)
