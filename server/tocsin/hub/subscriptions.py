"""The open streams: who is let in, how they begin, go on and end, and what they are told meanwhile."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable, Sequence

from tornado.iostream import IOStream

from tocsin.core.filters import EVERYTHING, Filter
from tocsin.core.wire import HEARTBEAT, encode_retry, jittered_retry_ms
from tocsin.errors import Busy
from tocsin.eventlog.resume import Resume, resolve
from tocsin.hub.connection import connect
from tocsin.hub.counters import Counters
from tocsin.hub.group import PIECE_BYTES, Piece
from tocsin.hub.publishing import Publishing
from tocsin.hub.replay_cache import ReplayCache
from tocsin.hub.states import State
from tocsin.hub.stream import Stream
from tocsin.hub.stream_limits import StreamLimits
from tocsin.hub.turns import Turn
from tocsin.hub.welcome import encode_busy, encode_presence, encode_welcome, iso_time
from tocsin.logs import is_wanted
from tocsin.settings import Settings
from tocsin.sockets import Sockets

STREAMS_SHARE = 0.9
"""Of the time that a drain may take: what the streams have. The rest is for answers that are on their way."""

AGE_SPREAD = 0.2
"""Share of `max_stream_age` by which a stream's life may be shorter: what opened together must not end together."""

GOLDEN_RATIO = 0.6180339887498949

log = logging.getLogger("tocsin.streams")


class Subscriptions:
    """The `Log` of all clients' streams.

    Args:
        settings: limits and times.
        publishing: where events come from.
        counters: of the hub.
        clock: Unix time in seconds.
        clients_limit: how many streams may be open.

    Attributes:
        streams: the open ones, by the client's number.
        lagging: those of them that are not at the head.
    """

    def __init__(
        self,
        settings: Settings,
        publishing: Publishing,
        counters: Counters,
        clock: Callable[[], float],
        clients_limit: int,
    ) -> None:
        self.streams: dict[int, Stream] = {}
        self.lagging: dict[Stream, None] = {}
        self.sockets = Sockets()
        self._settings = settings
        self._publishing = publishing
        self._fan_out = publishing.fan_out
        self._counters = counters
        self._clock = clock
        self._clients_limit = clients_limit
        self._last_number = 0
        self._old_numbers = 0  # streams up to this number are of a log that is no more
        self._presence: dict[Stream, None] = {}
        self._ready: deque[Stream] = deque()  # streams that go on in the loop's next turns
        self._replay_cache = ReplayCache()
        self._limits = StreamLimits(settings)
        self._ending: asyncio.Task[None] | None = None

    # --- admission and opening --------------------------------------------------------------------

    def refuses(self, filter: Filter, chunked: bool = True) -> str:
        """Why one more stream of `filter` isn't opened: ``full``, ``draining``, ``patterns``; or empty."""
        if self._publishing.is_over:
            return "draining"
        if len(self.streams) >= self._clients_limit:
            return "full"
        if self._fan_out.entries_with(filter, chunked) > self._settings.max_patterns:
            return "patterns"
        return ""

    def open(
        self,
        connection: socket.socket | IOStream,
        filter: Filter,
        last_event_id: str | Sequence[str],
        head: bytes,
        chunked: bool,
        presence: bool,
        ignored: Sequence[str],
        whose: tuple[str, str] = ("", ""),
    ) -> Stream:
        """Open a stream over a connection, and send its opening.

        The opening is: `head`, the reconnection time, the welcome event `connection`, the event
        `gap` if something was missed, and the first piece of the replay.

        Args:
            connection: connected and non-blocking. The hub owns and closes it from here on.
            filter: what the stream gets.
            last_event_id: as the client sent it, whatever it holds, or all that it sent in several places;
                empty begins at the head.
            head: the HTTP answer's head, sent before the first byte of the body.
            chunked: whether the body is chunked.
            presence: whether the stream also gets `presence` events.
            ignored: what the client asked for and nobody knows; the welcome names it.
            whose: the principal and the address that it counts for; empty ones aren't limited.

        Raises:
            Busy: no stream is opened now; the connection is as it was, and still the caller's.
        """
        reason = self.refuses(filter, chunked) or self._limits.refuses(*whose)
        if reason:
            self._counters.rejected[reason] += 1
            raise Busy(reason, self.retry_ms(3.0))
        # An id ahead of this process is `unknown` here. Where several processes share a log it is not:
        # its stream is to open at the head then, and to be REPLAYING, for a bounded time, until the
        # process has come to that id.
        resume = resolve(last_event_id, self._publishing.ring, filter)
        number, clients = self._last_number + 1, len(self.streams) + 1
        opening = self._opening(resume, number, clients, ignored)
        connected = connect(connection, self.sockets)
        try:
            group = self._fan_out.join(filter, chunked, self._counters)
        except BaseException:
            connected.close(reset=True)
            raise
        self._last_number += 1
        now = asyncio.get_running_loop().time()
        stream = Stream(self._last_number, connected, self, group, cursor=resume.cursor, now=now)
        stream.opened_at_seq = self._publishing.ring.head
        stream.looked_to = self._publishing.ring.floor  # `resolve` has looked
        stream.replays = -1 if resume.replayed is None else resume.replayed
        self.streams[stream.number] = stream
        self._limits.add(stream.number, *whose)
        if presence:
            self._presence[stream] = None
            stream.presence = len(self.streams)
        self._counters.count_opened(resume)
        try:
            self._start(stream, resume, head + group.framed(opening))
        except BaseException:
            stream.close("error")
            raise
        return stream

    def opening_of_internal(self) -> bytes:
        """What an internal stream is told first; it is no client, and has no number."""
        return self._opening(resolve("", self._publishing.ring, EVERYTHING), 0, len(self.streams))

    def retry_ms(self, spread: float) -> int:
        """A jittered reconnection time, in milliseconds."""
        return jittered_retry_ms(self._settings.retry, spread)

    def _opening(
        self, resume: Resume, number: int, clients: int, ignored: Sequence[str] = ()
    ) -> bytes:
        """What a stream is told first."""
        welcome = encode_welcome(
            number=number,
            clients=clients,
            timestamp=iso_time(self._clock()),
            heartbeat=self._settings.heartbeat,
            resume=resume,
            ignored=ignored,
        )
        return encode_retry(self.retry_ms(1.5)) + welcome

    def _start(self, stream: Stream, resume: Resume, opening: bytes) -> None:
        if is_wanted(log, "stream opened"):
            self._log_opened(stream, resume)
        self._counters.sent_bytes["control"] += len(opening)
        stream.start(opening, self.piece_after(stream))

    # --- what a stream asks of its log ------------------------------------------------------------

    def piece_after(self, stream: Stream) -> Piece | None:
        """The next piece at the stream's cursor; None at the head, or where it had to be ended."""
        if stream.number <= self._old_numbers:
            self._end(stream)
            return None
        ring = self._publishing.ring
        if stream.cursor >= ring.head or self._close_if_lost(stream):
            return None
        piece = self._replay_cache.piece(ring, stream.group, stream.cursor)
        if stream.replays < 0 and piece.cursor > stream.opened_at_seq:
            reading = ring.read(stream.cursor, stream.group.filter, max_bytes=PIECE_BYTES)
            before = [e for e in reading.entries if e.seq <= stream.opened_at_seq]
            stream.replays = stream.sent_events + len(before)
        return piece

    def on_read(self, stream: Stream, piece: Piece) -> None:
        """Count what the stream read from the ring, apart for before and after it opened."""
        live_events = stream.live_events
        before = max(stream.sent_events - piece.events - stream.replays, 0) if live_events else 0
        self._counters.count_read(piece.events, live_events - before, len(piece.payload))

    def on_ready(self, stream: Stream) -> None:
        """Let the stream go on in one of the loop's next turns; at the head there is nothing to wait for."""
        if stream.cursor >= self._publishing.ring.head and stream.number > self._old_numbers:
            self._fan_out.let_in(stream)
            return
        self._ready.append(stream)
        if len(self._ready) == 1:
            asyncio.get_running_loop().call_soon(self._advance)

    def on_caught_up(self, stream: Stream) -> None:
        """Put the stream (back) into the fan-out."""
        self._fan_out.let_in(stream)

    def on_closed(self, stream: Stream, reason: str) -> None:
        """Forget the stream, and say so."""
        del self.streams[stream.number]
        self._limits.remove(stream.number)
        self._presence.pop(stream, None)
        undelivered = stream.undelivered
        self._fan_out.leave(stream.group)
        duration_s = asyncio.get_running_loop().time() - stream.opened_at
        self._counters.count_closed(reason, duration_s, undelivered)
        if is_wanted(log, "stream closed"):
            self._log_closed(stream, reason, duration_s)

    def _advance(self) -> None:
        """Let streams go on, those first that waited longest, until the turn is over."""
        turn = Turn()
        while True:
            stream = self._ready[0]
            try:
                stream.advance()
            except Exception:  # a bug, of which the other streams must not suffer
                log.exception("a stream failed; it is closed, and resumes")
                stream.close("error")
            self._ready.popleft()
            if not self._ready:
                return
            if turn.is_over:
                break
        asyncio.get_running_loop().call_soon(self._advance)

    def _close_if_lost(self, stream: Stream) -> bool:
        """Close a stream whose next events are gone: it comes back, and is told of the gap.

        Only what was evicted since the last look is looked at.
        """
        ring = self._publishing.ring
        kept_to = max(stream.cursor, stream.looked_to)
        if kept_to >= ring.floor:
            return False
        if ring.has_lost(kept_to, stream.group.filter):
            stream.close("slow")
            return True
        stream.looked_to = ring.floor
        return False

    # --- timers -----------------------------------------------------------------------------------

    async def send_heartbeats(self) -> None:
        """Send a comment to every stream at the head; a lagging one has bytes under way anyway."""
        turn = Turn()
        for stream in tuple(self.streams.values()):
            self._counters.heartbeats += self._tell(stream, HEARTBEAT, "heartbeat")
            if turn.is_over:
                await turn.next()

    async def tick(self) -> None:
        """Once a second: evict by age, close the slow, end the old, tell the number of clients to who asked."""
        self._publishing.expire()
        self._counters.sample(asyncio.get_running_loop().time())
        self._replay_cache.clear()
        await self._close_slow()
        await self._end_old()
        await self._tell_presence()

    async def _close_slow(self) -> None:
        turn = Turn()
        for stream in tuple(self.lagging):
            if stream.state != State.CLOSED and not self._close_if_lost(stream):
                self._close_if_stalled(stream)
            if turn.is_over:
                await turn.next()

    def _close_if_stalled(self, stream: Stream) -> None:
        """Close a lagging stream for which no byte left for as long as a slow client has."""
        now = asyncio.get_running_loop().time()
        if stream.has_moved():
            stream.stalled_at = now
        elif stream.stalled_at < now - self._settings.slow_client_timeout:
            stream.close("slow")

    async def _end_old(self) -> None:
        """End the streams that have lived for `max_stream_age`, each at an age of its own; they come back.

        Only those are looked at that could be old enough: the streams are in the order of their opening.
        """
        age_s, now = self._settings.max_stream_age, asyncio.get_running_loop().time()
        turn = Turn()
        for stream in tuple(self.streams.values()) if age_s else ():
            lived_s = now - stream.opened_at
            if lived_s < age_s * (1 - AGE_SPREAD):
                break
            # Multiples of the golden ratio, less their whole parts, lie evenly however many there are.
            if lived_s >= age_s * (1 - AGE_SPREAD * (stream.number * GOLDEN_RATIO % 1)):
                self._end(stream, "age", "age")
            if turn.is_over:
                await turn.next()

    async def _tell_presence(self) -> None:
        turn = Turn()
        clients = len(self.streams)
        block = encode_presence(clients, iso_time(self._clock())) if self._presence else b""
        for stream in tuple(self._presence):
            if stream.presence != clients and self._tell(stream, block, "control"):
                stream.presence = clients
            if turn.is_over:
                await turn.next()

    def _tell(self, stream: Stream, block: bytes, kind: str) -> bool:
        before = stream.sent_bytes
        told = stream.tell(block)
        self._counters.sent_bytes[kind] += stream.sent_bytes - before
        return told

    # --- the end ----------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Tell each stream when to come back, and end them all within `drain_timeout`.

        Reconnection times are spread, so that the next process isn't met by everybody at once.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.drain_timeout * STREAMS_SHARE
        await self._end_all()
        while self.streams and loop.time() < deadline:
            await asyncio.sleep(0.01)
        turn = Turn()
        for stream in tuple(self.streams.values()):
            stream.close("shutdown")
            if turn.is_over:
                await turn.next()

    def reset(self) -> None:
        """End the streams of a log that is no more; they resume in the new one, and are told of the gap."""
        self._replay_cache.clear()
        self._old_numbers = self._last_number
        self._ending = asyncio.ensure_future(self._end_all(self._old_numbers))

    async def _end_all(self, up_to: int | None = None) -> None:
        """End the streams up to that number, in turns; all of them where there is none."""
        turn = Turn()
        for stream in tuple(self.streams.values()):
            if up_to is None or stream.number <= up_to:
                self._end(stream)
            if turn.is_over:
                await turn.next()

    def _end(self, stream: Stream, reason: str = "", closed: str = "shutdown") -> None:
        """Tell `stream` to come back, and end it.

        Args:
            stream: that is to end.
            reason: as its client is told; by default that the hub stops, or begins a new log.
            closed: as it is counted.
        """
        before = stream.sent_bytes
        reason = reason or ("draining" if self._publishing.draining else "restart")
        stream.end(closed, encode_busy(reason, self.retry_ms(3.0)))
        self._counters.sent_bytes["control"] += stream.sent_bytes - before

    # --- log lines --------------------------------------------------------------------------------

    def _log_opened(self, stream: Stream, resume: Resume) -> None:
        extra: dict[str, object] = {"client": stream.number, "clients": len(self.streams)}
        if resume.resumed:
            extra["replayed"] = resume.replayed
        if resume.gap:
            extra |= {"gap": resume.gap.reason, "missed": resume.gap.missed}
        log.info("stream opened", extra=extra)

    def _log_closed(self, stream: Stream, reason: str, duration_s: float) -> None:
        log.info(
            "stream closed",
            extra={
                "client": stream.number,
                "reason": reason,
                "duration_s": round(duration_s, 3),
                "events": stream.sent_events,
                "bytes": stream.sent_bytes,
                "clients": len(self.streams),
            },
        )
