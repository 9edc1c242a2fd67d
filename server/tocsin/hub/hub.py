"""The hub: publishes to the log, and sends every open stream what lies between its cursor and the head.

Publishing appends and schedules a fan-out pass if none is due. A pass sends each stream *everything*
that is new in one system call, so the work per burst is one call a client, and batches grow by
themselves as load grows. Streams with equal filters form a `Group` and share the joined bytes.

The hub knows no HTTP request, no Prometheus and no Redis. All of it runs on one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

import msgspec
from tornado.ioloop import PeriodicCallback
from tornado.iostream import IOStream

from tocsin.core.event import Draft, Event, EventId, InternalEvent
from tocsin.core.filters import Filter
from tocsin.core.wire import HEARTBEAT, encode_event, encode_retry, jittered_retry_ms
from tocsin.errors import Unavailable
from tocsin.eventlog.journal import Journal, MemoryJournal, Opening
from tocsin.eventlog.resume import Resume, resolve
from tocsin.eventlog.ring import Entry, RingBuffer
from tocsin.hub.counters import Counters
from tocsin.hub.fan_out import SLICE, FanOut
from tocsin.hub.group import PIECE_BYTES, Group, Piece
from tocsin.hub.internal_streams import InternalStreams
from tocsin.hub.loop_lag import LoopLag
from tocsin.hub.publishing import Receipt
from tocsin.hub.stream import Stream
from tocsin.logs import is_wanted
from tocsin.settings import Settings, client_limit

SHARED_JOINS = 256
"""Replays that are kept joined while the head stands still."""

log = logging.getLogger("tocsin.streams")


class Hub:
    """One log and its open streams.

    Args:
        settings: limits and times; the listener's keys are of no meaning here.
        journal: keeps the log; by default in memory only.
        clock: Unix time in seconds.
        monotonic: seconds of a clock that can't be set.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings or Settings()
        self.clients_limit = client_limit(self.settings)
        self.ring = self._new_ring(epoch=0)
        self.counters = Counters()
        self.streams: dict[int, Stream] = {}
        self.lagging: dict[int, Stream] = {}
        self.draining = False
        self.secret = secrets.token_urlsafe(32)  # what the hub's own requests are known by
        self._fan_out = FanOut(self.counters, clock, lambda: self.ring.head)
        self._internal_streams = InternalStreams(self._fan_out.let_in, self._fan_out.leave)
        self._journal = journal or MemoryJournal(clock)
        self._clock = clock
        self._monotonic = monotonic
        self._recipients: dict[
            EventId, int
        ] = {}  # of what was delivered, until its publisher is told
        self._last_number = 0
        self._presence: dict[int, Stream] = {}
        self._joins: dict[tuple[int, Group[Stream]], Piece] = {}
        self._joins_head = 0
        self._timers: Sequence[PeriodicCallback | LoopLag] = [
            PeriodicCallback(self.send_heartbeats, self.settings.heartbeat * 1000),
            PeriodicCallback(self.tick, 1000),
            LoopLag(self.counters.loop_lag_s),
        ]

    # --- life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the journal, fill the ring with its newest events, start the timers.

        Raises:
            SettingsError: the journal can't be opened.
        """
        window = self.settings.history_events
        self._reset(await self._journal.start(self._deliver, self._reset, window))
        for timer in self._timers:
            timer.start()

    def _reset(self, opening: Opening) -> None:
        self.ring = self._new_ring(opening.floor.epoch)
        self.ring.start_at(opening.floor.seq)
        entries = [Entry.of(event) for event in opening.events]
        self.ring.load(entries, self._monotonic(), wall=self._clock())

    async def drain(self) -> None:
        """Refuse new work, tell each stream when to come back, and end within `drain_timeout`.

        Reconnection times are spread, so that the next process isn't met by everybody at once.
        """
        self.draining = True
        deadline = asyncio.get_running_loop().time() + self.settings.drain_timeout
        for count, stream in enumerate(tuple(self.streams.values()), 1):
            before = stream.sent_bytes
            stream.end("shutdown", encode_retry(self.retry_ms(spread=3.0)))
            self.counters.sent_bytes["control"] += stream.sent_bytes - before
            if count % SLICE == 0:
                await asyncio.sleep(0)
        while self.streams and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        for stream in tuple(self.streams.values()):
            stream.close("shutdown")

    async def stop(self) -> None:
        """Drain, stop the timers, close the journal."""
        await self.drain()
        self._internal_streams.close()
        for timer in self._timers:
            timer.stop()
        await self._journal.stop()

    @property
    def is_ready(self) -> bool:
        """Whether it takes events and streams now."""
        return self.is_journal_up and not self.draining

    @property
    def is_journal_up(self) -> bool:
        """Whether the journal would try an append now."""
        return not self._journal.status

    @property
    def lag_events_max(self) -> int:
        """Events between the cursor of the slowest lagging stream and the head; only those are walked."""
        slowest = min((stream.cursor for stream in self.lagging.values()), default=self.ring.head)
        return self.ring.head - slowest

    @property
    def is_full(self) -> bool:
        """Whether one more stream would pass the limit."""
        return len(self.streams) >= self.clients_limit

    @property
    def head(self) -> EventId:
        """The id of the newest event; before the first one, the place it will come after."""
        return self.ring.id_at(self.ring.head)

    @property
    def oldest(self) -> EventId | None:
        """The id of the oldest event kept."""
        entry = self.ring.oldest
        return self.ring.id_at(entry.seq) if entry else None

    @property
    def horizon_s(self) -> float | None:
        """For how many seconds a client may have been away and lose nothing; None without events."""
        oldest = self.ring.oldest
        return round(max(self._clock() - oldest.time, 0.0), 3) if oldest else None

    def retry_ms(self, spread: float = 1.5) -> int:
        """A jittered reconnection time, in milliseconds."""
        return jittered_retry_ms(self.settings.retry, spread)

    def now_iso(self) -> str:
        """The time as ISO 8601 in UTC, with milliseconds."""
        seconds, milliseconds = divmod(int(self._clock() * 1000), 1000)
        return f"{_iso_second(seconds)}.{milliseconds:03d}Z"

    # --- publishing ---------------------------------------------------------------------------

    async def publish(self, *drafts: Draft) -> Sequence[Receipt]:
        """Append `drafts` to the log as one, and return their receipts in the same order.

        Returns when the journal has committed them; the streams get them in the next pass. All
        streams see all events in the order of their ids.

        Raises:
            Unavailable: nothing was published.
        """
        self._check_ready()
        asked = time.perf_counter()
        try:
            ids = await self._journal.append(drafts)
        except Unavailable:
            self.counters.journal_errors += 1
            raise
        self.counters.journal_commit_s.observe(time.perf_counter() - asked)
        return [Receipt(id, self._recipients.pop(id)) for id in ids]

    def emit(self, signal: InternalEvent) -> int:
        """Send `signal` to the internal_streams that asked for its topic, and return how many those are.

        It takes the way of an event from here to the socket, but is none: it has no id, enters no
        history, and nothing counts it.

        Raises:
            Unavailable: the hub takes no events now.
        """
        self._check_ready()
        block = encode_event(signal.type, signal.data)
        entry = Entry(self.ring.head, signal.topic, signal.type, self._clock(), block)
        recipients = self._fan_out.hand(entry)
        self._fan_out.start()
        return recipients

    def _check_ready(self) -> None:
        if not self.is_ready:
            raise Unavailable("the hub is stopping", code="draining", retry_after_s=2)

    def _deliver(self, events: Sequence[Event]) -> None:
        """Take committed events into the ring, and to the groups that they are for."""
        if not events:
            return
        entries = [Entry.of(event) for event in events]
        self.ring.append(entries, self._monotonic())
        recipients = [self._fan_out.hand(entry) for entry in entries]
        self._fan_out.start()
        self.counters.count_published(events, [len(entry.block) for entry in entries], recipients)
        self._recipients |= {
            event.id: count for event, count in zip(events, recipients, strict=True)
        }

    # --- streams ------------------------------------------------------------------------------

    def subscribe(
        self,
        iostream: IOStream,
        filter: Filter,
        *,
        last_event_id: str = "",
        head: bytes = b"",
        chunked: bool = True,
        presence: bool = False,
    ) -> Stream:
        """Open a stream over a detached connection, and send its opening.

        The opening is: `head`, the reconnection time, the welcome event `connection`, the event
        `gap` if something was missed, and the first piece of the replay. From here on the hub
        closes `iostream`.

        Args:
            iostream: the connection; nobody else writes to it.
            filter: what the stream gets.
            last_event_id: as the client sent it, whatever it holds; empty begins at the head.
            head: the HTTP answer's head, sent before the first byte of the body.
            chunked: whether the body is chunked.
            presence: whether the stream also gets `presence` events.
        """
        resume = resolve(last_event_id, self.ring, filter)
        self._last_number += 1
        stream = Stream(
            self._last_number,
            iostream,
            self,
            self._fan_out.join(filter, chunked, self.counters),
            cursor=resume.cursor,
            now=asyncio.get_running_loop().time(),
        )
        self.streams[stream.number] = self.lagging[stream.number] = stream
        if presence:
            self._presence[stream.number] = stream
            stream.presence = len(self.streams)
        stream.replays = resume.replayed or 0
        self.counters.count_opened(resume)
        if is_wanted(log, "stream opened"):
            self._log_opened(stream, resume)
        framed = head + self._opening(stream, resume)
        self.counters.sent_bytes["control"] += len(framed)
        stream.start(framed, self.piece_after(stream))
        return stream

    def listen(self, iostream: IOStream, filter: Filter, *, head: bytes, chunked: bool) -> Stream:
        """Open an internal stream, for internal events. It is no client, and nothing counts it.

        Args:
            iostream: the connection, as for `subscribe`.
            filter: exact names of reserved topics.
            head: the HTTP answer's head.
            chunked: whether the body is chunked.
        """
        group = self._fan_out.join(filter, chunked, self._internal_streams.counters)
        now = asyncio.get_running_loop().time()
        stream = Stream(
            0, iostream, self._internal_streams, group, cursor=group.mark.cursor, now=now
        )
        self._internal_streams.open.add(stream)
        stream.start(head + self._opening(stream, resolve("", self.ring, filter)), None)
        return stream

    def _opening(self, stream: Stream, resume: Resume) -> bytes:
        """What a stream is told first, framed."""
        return stream.group.framed(encode_retry(self.retry_ms()) + self._welcome(stream, resume))

    def _welcome(self, stream: Stream, resume: Resume) -> bytes:
        """The block of `connection`, and of `gap` if there is one."""
        data = {
            "id": stream.number,
            "message": "Connecté au hub Tocsin",
            "timestamp": self.now_iso(),
            "clients": len(self.streams),
            "resumed": resume.resumed,
            "replayed": resume.replayed,
            "missed": resume.gap.missed if resume.gap else 0,
            "heartbeat": self.settings.heartbeat,
        }
        welcome = encode_event("connection", msgspec.json.encode(data), resume.welcome_id)
        if resume.gap is None:
            return welcome
        # The gap bears no id: the welcome's is where the stream goes on, and a client is told once.
        return welcome + encode_event("gap", msgspec.json.encode(resume.gap))

    # --- what a stream asks of its log --------------------------------------------------------

    def piece_after(self, stream: Stream) -> Piece | None:
        """The next piece at the stream's cursor; None at the head, or where it had to be closed."""
        if stream.cursor >= self.ring.head:
            return None
        if self._close_if_lost(stream):
            return None
        if self._joins_head != self.ring.head or len(self._joins) > SHARED_JOINS:
            self._joins.clear()
            self._joins_head = self.ring.head
        key = (stream.cursor, stream.group)
        piece = self._joins.get(key)
        if piece is None:
            reading = self.ring.read(stream.cursor, stream.group.filter, max_bytes=PIECE_BYTES)
            piece = self._joins[key] = stream.group.piece(reading.entries, reading.cursor)
        return piece

    def on_read(self, stream: Stream, piece: Piece) -> None:
        """Count what the stream read from the ring, apart for before and after it opened."""
        before = max(stream.sent_events - piece.events - stream.replays, 0)
        self.counters.count_read(piece.events, stream.live_events - before, len(piece.payload))

    def on_lagging(self, stream: Stream) -> None:
        """Take the stream out of the fan-out."""
        stream.group.remove(stream)
        self.lagging[stream.number] = stream

    def on_caught_up(self, stream: Stream) -> None:
        """Put the stream (back) into the fan-out."""
        del self.lagging[stream.number]
        self._fan_out.let_in(stream)

    def on_closed(self, stream: Stream, reason: str) -> None:
        """Forget the stream, and say so."""
        del self.streams[stream.number]
        self.lagging.pop(stream.number, None)
        self._presence.pop(stream.number, None)
        self._fan_out.leave(stream)
        duration_s = asyncio.get_running_loop().time() - stream.opened_at
        self.counters.count_closed(reason, duration_s, stream.undelivered)
        if is_wanted(log, "stream closed"):
            self._log_closed(stream, reason, duration_s)

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

    def _close_if_lost(self, stream: Stream) -> bool:
        """Close a stream whose next events are gone: it comes back, and is told of the gap."""
        if not self.ring.has_lost(stream.cursor, stream.group.filter):
            return False
        stream.close("slow")
        return True

    # --- timers -------------------------------------------------------------------------------

    async def send_heartbeats(self) -> None:
        """Send a comment to every live stream; a lagging one has bytes under way anyway."""
        for count, stream in enumerate(tuple(self.streams.values()), 1):
            self.counters.heartbeats += self._tell(stream, HEARTBEAT, "heartbeat")
            if count % SLICE == 0:
                await asyncio.sleep(0)

    def tick(self) -> None:
        """Once a second: evict by age, close the slow, tell the number of clients to who asked."""
        expired = self.ring.expire(self._monotonic())
        if expired.is_behind:
            log.warning(
                "more of the history is too old than should be, and goes a minute's worth at a time",
                extra={"events": expired.events},
            )
        self.counters.sample(asyncio.get_running_loop().time())
        limit = asyncio.get_running_loop().time() - self.settings.slow_client_timeout
        for stream in tuple(self.lagging.values()):
            if not self._close_if_lost(stream) and stream.stalled_at < limit:
                stream.close("slow")
        self._tell_presence()

    def _tell_presence(self) -> None:
        clients = len(self.streams)
        block = b""
        for stream in tuple(self._presence.values()):
            if stream.presence != clients and stream.live:
                block = block or self._presence_block(clients)
                self._tell(stream, block, "control")
                stream.presence = clients

    def _tell(self, stream: Stream, block: bytes, kind: str) -> bool:
        before = stream.sent_bytes
        told = stream.tell(block)
        self.counters.sent_bytes[kind] += stream.sent_bytes - before
        return told

    def _presence_block(self, clients: int) -> bytes:
        data = {"clients": clients, "timestamp": self.now_iso()}
        return encode_event("presence", msgspec.json.encode(data))

    # --- the rest -----------------------------------------------------------------------------

    def _log_opened(self, stream: Stream, resume: Resume) -> None:
        extra: dict[str, object] = {"client": stream.number, "clients": len(self.streams)}
        if resume.resumed:
            extra["replayed"] = resume.replayed
        if resume.gap:
            extra |= {"gap": resume.gap.reason, "missed": resume.gap.missed}
        log.info("stream opened", extra=extra)

    def _new_ring(self, epoch: int) -> RingBuffer:
        return RingBuffer(
            epoch,
            max_events=self.settings.history_events,
            max_bytes=self.settings.history_bytes,
            max_age_s=self.settings.history_age,
            remembered_evictions=self.settings.remembered_evictions,
        )

    def __repr__(self) -> str:
        return (
            f"Hub(clients={len(self.streams)}, lagging={len(self.lagging)}, groups={len(self._fan_out)},"
            f" {self.ring!r}, draining={self.draining})"
        )


@lru_cache(maxsize=4)
def _iso_second(seconds: int) -> str:
    """A second as ISO 8601. Each event bears a time, and most of it is that of the event before."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
