"""Streams of the hub's own, by which it sees whether events arrive.

They take the same way as anybody's, from the listener to the socket, but listen only to internal events. They
are no clients: no count, no limit, no presence and no history knows them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from tornado.iostream import IOStream

from tocsin.core.filters import Filter
from tocsin.hub.connection import connect
from tocsin.hub.counters import Counters
from tocsin.hub.fan_out import FanOut
from tocsin.hub.group import Piece
from tocsin.hub.stream import Sent, Stream
from tocsin.sockets import Sockets


class InternalStreams:
    """The `Log` of internal streams: there is nothing to read in it, and what one misses is gone.

    Args:
        fan_out: of the hub.
        sockets: watches the connections.
        opening: what one is told first.

    Attributes:
        counters: takes what the fan-out counts for them; nobody reads it.
        lagging: those that are just being opened.
        open: the internal streams.
    """

    def __init__(self, fan_out: FanOut, sockets: Sockets, opening: Callable[[], bytes]) -> None:
        self.counters = Counters()
        self.lagging: dict[Stream, None] = {}
        self.open: set[Stream] = set()
        self._fan_out = fan_out
        self._sockets = sockets
        self._opening = opening

    def listen(
        self, connection: socket.socket | IOStream, filter: Filter, head: bytes, chunked: bool
    ) -> Stream:
        """Open one over a connection, and send it `head`, that of the HTTP answer, and its opening."""
        connected = connect(connection, self._sockets)
        group = self._fan_out.join(filter, chunked, self.counters)
        now = asyncio.get_running_loop().time()
        stream = Stream(0, connected, self, group, cursor=group.mark.cursor, now=now)
        self.open.add(stream)
        try:
            stream.start(head + group.framed(self._opening()), None)
        except BaseException:
            stream.close("error")
            raise
        return stream

    def close(self) -> None:
        """Close them all."""
        for stream in tuple(self.open):
            stream.close("shutdown")

    def piece_after(self, stream: Stream) -> Piece | None:
        """None: internal events are nowhere kept."""
        return None

    def on_taken(self, stream: Stream, sent: Sent) -> None:
        """Nothing: nobody counts it."""

    def on_ready(self, stream: Stream) -> None:
        """Close it: it lagged, and has nowhere to catch up from."""
        stream.close("slow")

    def on_caught_up(self, stream: Stream) -> None:
        """Put it into the fan-out."""
        self._fan_out.let_in(stream)

    def on_over(self, stream: Stream) -> None:
        """Nothing: reserved topics don't end."""

    def on_closed(self, stream: Stream, reason: str) -> None:
        """Forget it."""
        self.open.discard(stream)
        self._fan_out.leave(stream.group)
