"""Probes: streams of the hub's own, by which it sees whether events arrive.

They take the same way as anybody's, from the listener to the socket, but listen only to signals. They
are no clients: no count, no limit, no presence and no history knows them.
"""

from __future__ import annotations

from collections.abc import Callable

from tocsin.group import Piece
from tocsin.stream import Stream
from tocsin.tally import Tally


class Probes:
    """The `Log` of probes: there is nothing to read in it, and what a probe misses is gone.

    Args:
        join_live: puts a stream into the fan-out.
        leave: takes a stream that is over out of its group.

    Attributes:
        tally: takes what the fan-out counts for them; nobody reads it.
        open: the probes.
    """

    def __init__(
        self, join_live: Callable[[Stream], None], leave: Callable[[Stream], None]
    ) -> None:
        self.tally = Tally()
        self.open: set[Stream] = set()
        self._join_live = join_live
        self._leave = leave

    def close(self) -> None:
        """Close them all."""
        for stream in tuple(self.open):
            stream.close("shutdown")

    def piece_after(self, stream: Stream) -> Piece | None:
        """None: signals are nowhere kept."""
        return None

    def on_read(self, stream: Stream, piece: Piece) -> None:
        """Nothing: there is nothing to read."""

    def on_lagging(self, stream: Stream) -> None:
        """Close it: it has nowhere to catch up from."""
        stream.close("slow")

    def on_caught_up(self, stream: Stream) -> None:
        """Put it into the fan-out."""
        self._join_live(stream)

    def on_closed(self, stream: Stream, reason: str) -> None:
        """Forget it."""
        self.open.discard(stream)
        self._leave(stream)
