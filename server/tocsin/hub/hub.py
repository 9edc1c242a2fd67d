"""The hub: publishes to the log, and sends every open stream what lies between its cursor and the head.

This is what others see of it. `publishing` has the way of an event into the log, `subscriptions` that of a
stream, `fan_out` what brings the one to the other. The hub knows no HTTP request, no Prometheus and no
Redis. All of it runs on one event loop.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence

from tornado.ioloop import PeriodicCallback
from tornado.iostream import IOStream

from tocsin.core.event import Draft, EventId, InternalEvent
from tocsin.core.filters import Filter
from tocsin.core.wire import chunk, encode_retry, jittered_retry_ms
from tocsin.eventlog.journal import Journal, MemoryJournal
from tocsin.eventlog.resume import resolve
from tocsin.eventlog.ring import RingBuffer
from tocsin.hub.counters import Counters
from tocsin.hub.internal_streams import InternalStreams
from tocsin.hub.loop_lag import LoopLag
from tocsin.hub.publishing import Publishing, Receipt
from tocsin.hub.stream import Stream
from tocsin.hub.subscriptions import Subscriptions
from tocsin.hub.welcome import encode_welcome, iso_time
from tocsin.settings import Settings, client_limit


class Hub:
    """One log and its open streams.

    Args:
        settings: limits and times; the listener's keys are of no meaning here.
        journal: keeps the log; by default in memory only.
        clock: Unix time in seconds.
        monotonic: seconds of a clock that can't be set.

    Attributes:
        counters: what has happened so far.
        streams: the open streams, by the client's number.
        lagging: those of them that are not at the head.
        started_at: when `start` was called, by the machine's monotonic clock.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings = settings or Settings()
        self.clients_limit = client_limit(settings)
        self.counters = Counters()
        self.started_at = time.monotonic()
        self._clock = clock
        self._publishing = Publishing(
            settings,
            journal or MemoryJournal(clock),
            self.counters,
            clock,
            monotonic,
            self._reset,
        )
        self._fan_out = self._publishing.fan_out
        self._subscriptions = Subscriptions(
            settings, self._publishing, self.counters, clock, self.clients_limit
        )
        self.streams = self._subscriptions.streams
        self.lagging = self._subscriptions.lagging
        self._internal_streams = InternalStreams(self._fan_out, self._subscriptions.sockets)
        self._timers: Sequence[PeriodicCallback | LoopLag] = [
            PeriodicCallback(self._subscriptions.send_heartbeats, settings.heartbeat * 1000),
            PeriodicCallback(self._subscriptions.tick, 1000),
            LoopLag(self.counters.loop_lag_s),
        ]

    # --- life -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the journal, fill the ring with its newest events, start the timers.

        Raises:
            SettingsError: the journal can't be opened.
        """
        self.started_at = time.monotonic()
        await self._publishing.start()
        self._subscriptions.sockets.start()
        for timer in self._timers:
            timer.start()

    async def drain(self) -> None:
        """Refuse new work, tell each stream when to come back, and end within `drain_timeout`."""
        self.draining = True
        await self._subscriptions.drain()

    async def stop(self) -> None:
        """Drain, stop the timers, close the journal."""
        try:
            await self.drain()
            self._internal_streams.close()
        finally:
            for timer in self._timers:
                timer.stop()
            self._subscriptions.sockets.stop()
            await self._publishing.stop()

    def _reset(self) -> None:
        self._subscriptions.reset()
        self._internal_streams.close()

    # --- publishing -------------------------------------------------------------------------------

    def append(self, drafts: Sequence[Draft]) -> asyncio.Future[Sequence[Receipt]]:
        """Append `drafts` to the log as one; the future holds their receipts, in the same order.

        It is done when the journal has committed them, which may be at once; the streams get them in
        the next pass. All streams see all events in the order of their ids.

        Raises:
            Unavailable: nothing was published. Raised by the call, or held by the future.
        """
        return self._publishing.append(drafts)

    async def publish(self, *drafts: Draft) -> Sequence[Receipt]:
        """Append `drafts`, and wait for their receipts; none of either is fine too.

        Raises:
            Unavailable: nothing was published.
        """
        return await self.append(drafts) if drafts else ()

    def emit(self, event: InternalEvent) -> int:
        """Send `event` to the internal streams that asked for its topic; returns how many those are.

        Raises:
            Unavailable: the hub takes no events now.
        """
        return self._publishing.emit(event)

    # --- streams ----------------------------------------------------------------------------------

    def subscribe(
        self,
        connection: socket.socket | IOStream,
        filter: Filter,
        *,
        last_event_id: str | Sequence[str] = "",
        head: bytes = b"",
        chunked: bool = True,
        presence: bool = False,
        ignored: Sequence[str] = (),
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

        Raises:
            Busy: no stream is opened now; the connection is as it was, and still the caller's.
        """
        return self._subscriptions.open(
            connection,
            filter,
            last_event_id=last_event_id,
            head=head,
            chunked=chunked,
            presence=presence,
            ignored=ignored,
        )

    def refuses(self, filter: Filter) -> str:
        """Why `subscribe` would raise `Busy` now; empty if it would not."""
        return self._subscriptions.refuses(filter)

    def listen(
        self, connection: socket.socket | IOStream, filter: Filter, *, head: bytes, chunked: bool
    ) -> Stream:
        """Open an internal stream, for internal events. It is no client, and nothing counts it.

        Args:
            connection: as for `subscribe`.
            filter: exact names of reserved topics.
            head: the HTTP answer's head.
            chunked: whether the body is chunked.
        """
        welcome = encode_welcome(
            number=0,
            clients=len(self.streams),
            timestamp=self.now_iso(),
            heartbeat=self.settings.heartbeat,
            resume=resolve("", self.ring, filter),
        )
        opening = encode_retry(self.retry_ms()) + welcome
        opening = head + (chunk(opening) if chunked else opening)
        return self._internal_streams.listen(connection, filter, opening, chunked)

    # --- what it is like ---------------------------------------------------------------------------

    @property
    def ring(self) -> RingBuffer:
        """The window over the log; another one after a new log began."""
        return self._publishing.ring

    @property
    def draining(self) -> bool:
        """Whether it stops, and refuses new work."""
        return self._publishing.draining

    @draining.setter
    def draining(self, value: bool) -> None:
        self._publishing.draining = value

    @property
    def failure(self) -> asyncio.Future[Exception]:
        """Done as soon as an invariant broke; the process is to end then. There is one from `start` on."""
        return self._publishing.failure

    @property
    def not_ready(self) -> str:
        """Why it takes no events now: ``draining``, ``journal_down`` or ``failed``; or empty."""
        return self._publishing.not_ready

    @property
    def is_ready(self) -> bool:
        """Whether it takes events and streams now."""
        return not self.not_ready

    @property
    def is_journal_up(self) -> bool:
        """Whether the journal would try an append now."""
        return self._publishing.is_journal_up

    @property
    def lag_events_max(self) -> int:
        """Events between the cursor of the slowest lagging stream and the head; only those are walked."""
        slowest = min((stream.cursor for stream in self.lagging), default=self.ring.head)
        return self.ring.head - slowest

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
        return iso_time(self._clock())

    def __repr__(self) -> str:
        return (
            f"Hub(clients={len(self.streams)}, lagging={len(self.lagging)}, groups={len(self._fan_out)},"
            f" {self.ring!r}, not_ready={self.not_ready!r})"
        )
