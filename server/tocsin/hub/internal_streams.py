"""Streams of the hub's own, by which it sees whether events arrive.

They take the same way as anybody's, from the listener to the socket, but listen only to internal events. They
are no clients: no count, no limit, no presence and no history knows them.
"""

from __future__ import annotations

from collections.abc import Callable

from tocsin.hub.counters import Counters
from tocsin.hub.group import Piece
from tocsin.hub.stream import Stream

SECRET_HEADER = "Tocsin-Secret"
"""Bears `Hub.secret` in requests that the hub sends to itself."""


class InternalStreams:
    """The `Log` of internal streams: there is nothing to read in it, and what one misses is gone.

    Args:
        join_live: puts a stream into the fan-out.
        leave: takes a stream that is over out of its group.

    Attributes:
        counters: takes what the fan-out counts for them; nobody reads it.
        open: the internal streams.
    """

    def __init__(
        self, join_live: Callable[[Stream], None], leave: Callable[[Stream], None]
    ) -> None:
        self.counters = Counters()
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
