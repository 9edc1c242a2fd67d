"""One open stream: a cursor over the log, and the connection it is sent to.

A stream is *live* when its cursor is at the head and its socket took everything: the fan-out sends to
it directly. Otherwise it goes on by itself, from its own cursor: it *lags*, or it *replays* what came before
it opened, which is the same thing begun further back. Where what comes next is no longer in memory, it *waits*
for it to be read. At most one bounded piece of it is pending. Nothing
is queued per stream, so a slow one costs no memory. `states` has all that it can be.

The stream is the only one that writes to its connection. It knows no filter and no ring: what comes next
it asks its `Log`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from tocsin.core.wire import LAST_CHUNK
from tocsin.eventlog.recent import Selection
from tocsin.hub.connection import Connection
from tocsin.hub.group import Group, Mark, Piece
from tocsin.hub.readers import Reader
from tocsin.hub.states import NEXT, State

GONE = -1
"""What a socket takes where nobody is at the other end any more."""


class Sent(NamedTuple):
    """What a connection was given of the log. It is delivered when the socket has taken all of it.

    Attributes:
        after: the cursor before it.
        events: how many.
        bytes: as they are framed.
        times: since when the hub had the events, ascending.
        by_pass: whether a pass of the fan-out sent it; else the stream read it from the log.
    """

    after: int
    events: int
    bytes: int
    times: Sequence[float]
    by_pass: bool


class Log(Protocol):
    """What a stream needs of its hub."""

    lagging: dict[Stream, None]
    """The streams that are neither at the head nor closed."""

    def piece_after(self, stream: Stream) -> Piece | None:
        """What comes next at the stream's cursor; None if it is at the head, waits now, or was just ended."""

    def on_taken(self, stream: Stream, sent: Sent) -> None:
        """The stream's socket has taken `sent`: a piece of `piece_after`, or of a pass that its socket fell short of."""

    def on_ready(self, stream: Stream) -> None:
        """The stream can go on: `Stream.advance` is to be called soon, or it is at the head already."""

    def on_caught_up(self, stream: Stream) -> None:
        """The stream has reached the head: it is to become live, or to join."""

    def on_over(self, stream: Stream) -> None:
        """The stream has all that ever comes for it: it is to end."""

    def on_closed(self, stream: Stream, reason: str) -> None:
        """The stream is over. Called once."""


class Delivered:
    """What a pass touches of a stream: where it is, and what it is sent to.

    A class of its own, as its slots lie before those of the rest: with 10,000 streams each line of memory
    is cold, and so a delivery touches one of them instead of three.
    """

    __slots__ = ("mark", "socket")


class Stream(Delivered):
    """An open event stream; made by the hub, which keeps the counts.

    Args:
        number: the client's number, unique in this process.
        connection: the stream owns it from here on.
        log: who says what comes next.
        group: what it shares with streams of the same filter and framing.
        cursor: the seq of the last event this client has.
        now: the loop's clock, in seconds.

    Attributes:
        state: what it is; changed by `become` only.
        presence: the number of clients it was last told; -1 if it did not ask.
        opened_at_seq: the head of the log when it opened.
        replays: events from before it opened, which it gets first; -1 until they are counted.
        stalled_at: when bytes last left for it while it lags, by the loop's clock.
        reader: who opened it; None where everybody may do everything, and for the hub's own.
        selection: what it gets first, where that is not all that follows its cursor; None from then on.
        began_at: the cursor at which it began to read the log.
        looked_to: a seq up to which nothing was evicted, nor will be, that it still has to get.
    """

    # 10,000 of these: slots keep one at a fifth of what a dictionary would take.
    __slots__ = (
        "_bytes_apart",
        "_connection",
        "_events_apart",
        "_log",
        "_reason",
        "_untaken",
        "began_at",
        "group",
        "looked_to",
        "number",
        "opened_at",
        "opened_at_seq",
        "presence",
        "reader",
        "replays",
        "selection",
        "since",
        "stalled_at",
        "state",
    )

    def __init__(
        self,
        number: int,
        connection: Connection,
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
        self._untaken: Sent | None = None  # what the connection keeps a part of
        self.opened_at = now
        self.stalled_at = now
        self.state = State.OPENING
        self.presence = -1
        self.reader: Reader | None = None
        self.selection: Selection | None = None
        self.replays = 0
        self.opened_at_seq = self.began_at = cursor
        self.since = group.meant
        self.looked_to = cursor
        self._reason = "client"  # why it closes, if its connection does
        self._log = log
        self._connection = connection
        self.socket = connection.socket  # a pass sends to it directly
        log.lagging[self] = None

    @property
    def address(self) -> str:
        """The address at the other end; empty where it has none, or is just gone."""
        return self._connection.address

    @property
    def cursor(self) -> int:
        """The seq of the last event this client was sent."""
        return self.mark.cursor

    @property
    def taken_cursor(self) -> int:
        """The seq of the last event of which the socket has taken all."""
        untaken = self._untaken
        return self.mark.cursor if untaken is None else untaken.after  # a scrape asks all that lag

    @property
    def taken_events(self) -> int:
        """How many events its socket has taken to the last byte."""
        return self.sent_events - (self._untaken.events if self._untaken else 0)

    @property
    def is_at_head(self) -> bool:
        """Whether it has all that passes are done with."""
        return self.state in (State.LIVE, State.JOINING)

    @property
    def sent_events(self) -> int:
        """How many events it was sent."""
        return self.mark.events + self._events_apart

    @property
    def sent_bytes(self) -> int:
        """How many bytes it was sent."""
        return self.mark.bytes + self._bytes_apart

    @property
    def undelivered(self) -> int:
        """Events published since it opened, and meant for it, that its socket has not taken (yet)."""
        untaken = self.live_of(self._untaken) if self._untaken else 0
        return self.group.meant - self.since - self.live_events + untaken

    @property
    def live_events(self) -> int:
        """Events it got of those published since it opened; the log's order has the others first."""
        return max(self.sent_events - self.replays, 0) if self.replays >= 0 else 0

    def live_of(self, sent: Sent) -> int:
        """How many events of `sent`, the last that it was sent, were published since it opened."""
        live = self.live_events
        before = max(self.sent_events - sent.events - self.replays, 0) if live else 0
        return live - before

    def place(self, cursor: int, head: int) -> None:
        """Be at `cursor` of a log whose newest event is `head`; it was sent no event yet."""
        self.mark = Mark(cursor, 0, self.mark.bytes)
        self.began_at = cursor
        self.since = self.group.meant
        self.opened_at_seq = head

    # --- its states -------------------------------------------------------------------------------

    def become(self, state: State) -> None:
        """Change the state, and move the stream to the set that goes with it.

        Raises:
            RuntimeError: the table has no such transition.
        """
        if state not in NEXT[self.state]:
            raise RuntimeError(f"{self!r} can't become {state.name}")
        self._members(self.state).pop(self, None)
        if self.state == State.LIVE:
            self._own_mark()
        self.state = state
        if state == State.LIVE:
            self._share_mark()
        if state != State.CLOSED:
            self._members(state)[self] = None

    def _members(self, state: State) -> dict[Stream, None]:
        """The set of the streams that are in `state`."""
        if state == State.LIVE:
            return self.group.live
        return self.group.joining if state == State.JOINING else self._log.lagging

    def _share_mark(self) -> None:
        """Be where the live streams of the group are: it has been sent all that they have."""
        events, size = self.sent_events, self.sent_bytes
        self.mark = self.group.mark
        self._events_apart = events - self.mark.events
        self._bytes_apart = size - self.mark.bytes

    def _own_mark(self) -> None:
        """Be at a mark of its own, which no pass takes for the group's."""
        self.mark = Mark(self.cursor, self.sent_events, self.sent_bytes)
        self._events_apart = self._bytes_apart = 0

    # --- sending ----------------------------------------------------------------------------------

    def start(self, opening: bytes, piece: Piece | None) -> None:
        """Send the answer's head and the welcome, with the first piece of the replay, in one go.

        Raises:
            OSError: the connection is closed already.
        """
        self._connection.open(self)
        self.become(State.REPLAYING)
        first = piece or Piece(b"", self.cursor, 0)
        whole = Piece(opening + first.payload, first.cursor, first.events)
        if self._deliver_read(first, whole):
            self.advance()

    def advance(self) -> None:
        """Send the next piece of what lies between the cursor and the head; at the head, become live."""
        if self.state not in (State.REPLAYING, State.LAGGING):
            return
        piece = self._log.piece_after(self)
        if piece is not None:
            if self._deliver_read(piece, piece):
                self._log.on_ready(self)
        elif self.state in (State.REPLAYING, State.LAGGING):
            self._log.on_caught_up(self)

    def go_on(self, piece: Piece) -> None:
        """Send `piece`, for which the stream waited, and go on from where it leads."""
        was_replaying = self.cursor < self.opened_at_seq
        self.become(State.REPLAYING if was_replaying else State.LAGGING)
        self.stalled_at = asyncio.get_running_loop().time()
        if self._deliver_read(piece, piece):
            self._log.on_ready(self)

    def deliver(self, piece: Piece, sent: Sent) -> bool:
        """Hand `piece` to the socket and move the cursor; False if the stream lags or is over now.

        Where it took all of it, `sent` is the caller's to count. Where the stream lags, `Log.on_taken` is told later.
        """
        took = self._try(piece.payload)
        if self.state == State.CLOSED:
            return False
        self.mark = self.mark.after(piece)
        if took == len(piece.payload):
            return True
        self.keep_rest(memoryview(piece.payload)[took:], sent)
        return False

    def tell(self, block: bytes) -> bool:
        """Send `block`, which is not of the log; False where it isn't sent because the stream lags."""
        if not self.is_at_head:
            return False
        payload = self.group.framed(block)
        sent = self._try(payload)
        if self.state == State.CLOSED:
            return False
        self._bytes_apart += len(payload)
        if sent < len(payload):
            self.keep_rest(memoryview(payload)[sent:])
        return sent == len(payload)

    def beat(self, heartbeat: bytes) -> bool:
        """Send `heartbeat` to a stream that is at the head, or waits; False where it isn't sent.

        While a stream waits nothing is under way to it, and proxies give up on what is silent.
        """
        if self.state != State.WAITING:
            return self.tell(heartbeat)
        payload = self.group.framed(heartbeat)
        try:
            sent = self._connection.offer(payload)
        except OSError:
            self.close("client")
            return False
        if not sent:
            return False
        if sent < len(
            payload
        ):  # so few bytes: it takes nothing, and what it waits for would come between
            self.close("slow")
            return False
        self._bytes_apart += len(payload)
        return True

    def keep_rest(self, rest: memoryview, sent: Sent | None = None) -> None:
        """Have the connection send what the socket didn't take, of `sent`; the stream lags until it has."""
        self._untaken = sent
        self.stalled_at = asyncio.get_running_loop().time()
        if self.is_at_head:
            self.become(State.LAGGING)
        self._connection.keep(rest)

    def finish(self) -> None:
        """Have it ended by its log: it has all that ever comes for it."""
        self._log.on_over(self)

    def end(self, reason: str, farewell: bytes) -> None:
        """Send `farewell` and the end of the body behind what is pending, then close."""
        if self.state in (State.ENDING, State.CLOSED):
            return
        self.become(State.ENDING)
        self.stalled_at = asyncio.get_running_loop().time()
        self._reason = reason
        last = self.group.framed(farewell) + (LAST_CHUNK if self.group.chunked else b"")
        self._bytes_apart += len(last)
        self._connection.finish(last)

    def close(self, reason: str) -> None:
        """Close at once; what is pending is dropped, and the client resumes from its own cursor."""
        if self.state == State.CLOSED:
            return
        self.become(State.CLOSED)
        # A slow client's share of the kernel's memory is given back at once: it resumes anyway.
        self._connection.close(reset=reason == "slow")
        self._log.on_closed(self, reason)

    def has_moved(self) -> bool:
        """Whether bytes left for the client since this was asked, of a stream that lags."""
        return self._connection.has_moved()

    def on_drained(self) -> None:
        """Go on: the socket has taken all that was pending."""
        if self._untaken:
            sent, self._untaken = self._untaken, None
            self._log.on_taken(self, sent)
        if self.state == State.ENDING:
            self.close(self._reason)
        else:
            self.stalled_at = asyncio.get_running_loop().time()
            self._log.on_ready(self)

    def on_gone(self) -> None:
        """Close: the client did, or it sends where it has nothing to say."""
        self.close(self._reason)

    def _try(self, payload: bytes) -> int:
        """Bytes of `payload` that the socket took; closes the stream if nobody is there any more."""
        try:
            return self.socket.send(payload)
        except BlockingIOError:
            return 0
        except OSError:  # reset by the peer, or timed out
            self.close("client")
            return 0

    def _deliver_read(self, read: Piece, whole: Piece) -> bool:
        """Deliver `whole`, which holds `read` of the log, and have that counted when it is taken."""
        sent = Sent(self.cursor, read.events, len(read.payload), read.times, by_pass=False)
        is_taken = self.deliver(whole, sent)
        if is_taken:
            self._log.on_taken(self, sent)
        return is_taken

    def __repr__(self) -> str:
        return (
            f"Stream({self.number}, {self.state.name}, cursor={self.cursor},"
            f" events={self.sent_events})"
        )


def deliver_all(
    streams: Iterable[Stream], payload: bytes, base: Mark, mark: Mark, times: Sequence[float]
) -> int:
    """Send `payload` to those of `streams` that are at `base`, who are at `mark` then; returns how many have taken it.

    `times` are those of its events. The others lag, and have it counted when they have taken it, or are over.

    The hub's speed is made of this. No counter or cursor of a stream's own is touched, as each is a cold
    line of memory; and the streams are not touched between two system calls, which would find them cold
    again each time: all are looked at in one go, then sent to, then moved on (a tenth of the whole, with
    10,000 of them). Who lags, is over or joins isn't at the base.
    """
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
    if short:
        sent = Sent(base.cursor, mark.events - base.events, size, times, by_pass=True)
        for stream, took in short:
            if took == GONE:
                stream.mark = base  # it did not get this
                stream.close("client")
            else:
                stream.keep_rest(memoryview(payload)[took:], sent)
    return len(here) - len(short)
