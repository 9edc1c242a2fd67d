"""One open stream: a cursor over the log, and the socket it is sent to.

A stream is *live* when its cursor is at the head and its socket took everything: the fan-out sends to
it directly. Otherwise it *lags*: at most one bounded piece is pending in its IOStream, the fan-out
skips it, and when the piece has drained it goes on from its own cursor. A replay after a reconnect is
the same thing, begun further back. Nothing is queued per stream, so a slow one costs no memory.

The stream is the only one that writes to its socket. It knows no filter and no ring: what comes next
it asks its `Log`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import Protocol

from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

from tocsin.core.wire import LAST_CHUNK
from tocsin.hub.group import Group, Mark, Piece, Step

STRAY_BYTES = 4_096
"""How much a read takes of what a client sends where it has nothing to say."""

GONE = -1
"""What a socket takes where nobody is at the other end any more."""


class Log(Protocol):
    """What a stream needs of its hub."""

    def piece_after(self, stream: Stream) -> Piece | None:
        """What comes next at the stream's cursor; None if it is at the head, or was just closed."""

    def on_read(self, stream: Stream, piece: Piece) -> None:
        """The stream was sent `piece`, which `piece_after` gave it."""

    def on_lagging(self, stream: Stream) -> None:
        """The stream is no longer live."""

    def on_caught_up(self, stream: Stream) -> None:
        """The stream has reached the head and is live (again)."""

    def on_closed(self, stream: Stream, reason: str) -> None:
        """The stream is over. Called once."""


class Stream:
    """An open event stream; made by the hub, which keeps the counts.

    Args:
        number: the client's number, unique in this process.
        iostream: the detached connection. The stream owns it from here on.
        log: who says what comes next.
        group: what it shares with streams of the same filter and framing.
        cursor: the seq of the last event this client has.
        now: the loop's clock, in seconds.
    """

    # 10,000 of these: slots keep one at a fifth of what a dictionary would take.
    __slots__ = (
        "_bytes_apart",
        "_events_apart",
        "_iostream",
        "_log",
        "closed",
        "ending",
        "group",
        "live",
        "mark",
        "number",
        "opened_at",
        "presence",
        "replays",
        "since",
        "socket",
        "stalled_at",
    )

    def __init__(
        self,
        number: int,
        iostream: IOStream,
        log: Log,
        group: Group[Stream],
        *,
        cursor: int,
        now: float,
    ) -> None:
        self.number = number
        self.group = group
        self.mark = Mark(cursor)
        self._events_apart = 0  # what this stream was sent beyond the totals of its mark
        self._bytes_apart = 0
        self.opened_at = now
        self.stalled_at = now
        self.live = False
        self.closed = False
        self.ending = ""
        self.presence = 0
        self.replays = 0  # events from before it opened, which it gets first
        self.since = group.matched
        self._log = log
        self._iostream = iostream
        # A caught-up stream is written to past its IOStream: no buffer, no future.
        is_tls = isinstance(iostream, SSLIOStream)
        self.socket: _NoSocket | socket.socket = _NoSocket() if is_tls else iostream.socket
        # A read stays open, or else bytes left in the buffer hide the client's close.
        asyncio.ensure_future(iostream.read_bytes(STRAY_BYTES, partial=True)).add_done_callback(
            self._on_read
        )

    @property
    def cursor(self) -> int:
        """The seq of the last event this client was sent."""
        return self.mark.cursor

    @property
    def sent_events(self) -> int:
        """How many events it was sent."""
        return self.mark.events + self._events_apart

    @property
    def sent_bytes(self) -> int:
        """How many bytes it was sent."""
        return self.mark.bytes + self._bytes_apart

    def start(self, opening: bytes, piece: Piece | None) -> None:
        """Send the answer's head and the welcome, with the first piece of the replay, in one go."""
        first = piece or Piece(b"", self.cursor, 0)
        if self._deliver_read(first, Piece(opening + first.payload, first.cursor, first.events)):
            self._advance()

    def deliver(self, piece: Piece) -> bool:
        """Hand `piece` to the socket and move the cursor; False if the stream lags or is over now."""
        sent = self._try(piece.payload)
        if self.closed:
            return False
        self.mark = self.mark.after(piece)
        return self._keep(piece.payload, sent)

    @property
    def undelivered(self) -> int:
        """Events published since it opened, and meant for it, that it did not get (yet)."""
        return self.group.matched - self.since - self.live_events

    @property
    def live_events(self) -> int:
        """Events it got of those published since it opened; the log's order has the others first."""
        return max(self.sent_events - self.replays, 0)

    def tell(self, block: bytes) -> bool:
        """Send `block`, which is not of the log; False where it isn't sent because the stream lags."""
        if not self.live:
            return False
        payload = self.group.framed(block)
        sent = self._try(payload)
        if self.closed:
            return False
        self._bytes_apart += len(payload)
        return self._keep(payload, sent)

    def keep_rest(self, rest: memoryview) -> None:
        """Let the IOStream send what the socket didn't take; the stream lags until it has."""
        self.stalled_at = asyncio.get_running_loop().time()
        self._leave_live()
        self._write(rest)

    def share_mark(self) -> None:
        """Be where the live streams of the group are: it has been sent all that they have."""
        events, size = self.sent_events, self.sent_bytes
        self.mark = self.group.mark
        self._events_apart = events - self.mark.events
        self._bytes_apart = size - self.mark.bytes

    def own_mark(self) -> None:
        """Be at a mark of its own, which no pass takes for the group's."""
        self.mark = Mark(self.cursor, self.sent_events, self.sent_bytes)
        self._events_apart = self._bytes_apart = 0

    def end(self, reason: str, farewell: bytes) -> None:
        """Send `farewell` and the end of the body behind what is pending, then close."""
        if self.ending or self.closed:
            return
        self.ending = reason
        self._leave_live()
        last = self.group.framed(farewell) + (LAST_CHUNK if self.group.chunked else b"")
        self._bytes_apart += len(last)
        self._write(last)

    def close(self, reason: str) -> None:
        """Close at once; what is pending is dropped, and the client resumes from its own cursor."""
        if self.closed:
            return
        self.closed = True
        self.live = False
        self.own_mark()
        self._log.on_closed(self, reason)
        self._iostream.close()

    def _try(self, payload: bytes) -> int:
        """Bytes of `payload` that the socket took; closes the stream if nobody is there any more."""
        try:
            return self.socket.send(payload)
        except BlockingIOError:
            return 0
        except OSError:  # reset by the peer, or timed out
            self.close("client")
            return 0

    def _keep(self, payload: bytes, sent: int) -> bool:
        if sent == len(payload):
            return True
        self.keep_rest(memoryview(payload)[sent:])
        return False

    def _leave_live(self) -> None:
        if self.live:
            self.live = False
            self.own_mark()
            self._log.on_lagging(self)

    def _write(self, rest: bytes | memoryview) -> None:
        try:
            self._iostream.write(rest).add_done_callback(self._on_drained)
        except StreamClosedError:  # closed by the client, and its callback hasn't run yet
            self.close(self.ending or "client")

    def _on_drained(self, written: asyncio.Future[None]) -> None:
        if written.cancelled() or written.exception() or self.closed:
            self.close(self.ending or "client")
        elif not self.ending:
            self._advance()
        elif not self._iostream.writing():
            self.close(self.ending)

    def _advance(self) -> None:
        """Send what lies between the cursor and the head, one piece a turn of the loop."""
        if self.closed or self.ending:
            return
        piece = self._log.piece_after(self)
        if piece is not None:
            if self._deliver_read(piece, piece):
                asyncio.get_running_loop().call_soon(self._advance)
        elif not self.closed:
            self.live = True
            self._log.on_caught_up(self)

    def _deliver_read(self, read: Piece, sent: Piece) -> bool:
        """Deliver `sent`, which holds `read` of the ring, and have it counted where it was taken."""
        events = self.sent_events
        whole = self.deliver(sent)
        if self.sent_events > events:
            self._log.on_read(self, read)
        return whole

    def _on_read(self, read: asyncio.Future[bytes]) -> None:
        # Done means: the client closed (an exception), or it sends where it has nothing to say.
        if not read.cancelled():
            read.exception()
        self.close(self.ending or "client")

    def __repr__(self) -> str:
        state = "closed" if self.closed else "live" if self.live else "lagging"
        return f"Stream({self.number}, {state}, cursor={self.cursor}, events={self.sent_events})"


def deliver_all(streams: Iterable[Stream], step: Step) -> int:
    """Send `step` to those of `streams` that are at its base; returns to how many.

    The hub's speed is made of this. No counter or cursor of a stream's own is touched, as each is a cold
    line of memory; and the streams are not touched between two system calls, which would find them cold
    again each time: all are looked at in one go, then sent to, then moved on (a tenth of the whole, with
    10,000 of them). Who lags, is over or joined since isn't at the base.
    """
    piece, base, mark = step
    payload = piece.payload
    size = len(payload)
    here = [stream for stream in streams if stream.mark is base]
    sockets = [stream.socket for stream in here]
    short: list[tuple[Stream, int]] = []
    for stream, sock in zip(here, sockets, strict=True):
        try:
            took = sock.send(payload)
        except BlockingIOError:
            took = 0
        except OSError:  # reset by the peer, or timed out: nobody is there any more
            took = GONE
        if took != size:
            short.append((stream, took))
    for stream in here:
        stream.mark = mark
    return len(here) - sum([_fell_short(stream, base, payload, took) for stream, took in short])


def _fell_short(stream: Stream, base: Mark, payload: bytes, took: int) -> bool:
    """See to a stream whose socket didn't take all of `payload`; True if it is over."""
    if took != GONE:
        stream.keep_rest(memoryview(payload)[took:])
        return False
    stream.mark = base  # it did not get this
    stream.close("client")
    return True


class _NoSocket:
    """Stands for the socket of a TLS stream, which has records to make: all goes through the IOStream."""

    def send(self, payload: bytes, /) -> int:
        return 0
