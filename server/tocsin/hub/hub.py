"""The hub: publishes to the log, and sends every open stream what lies between its cursor and the head.

This is the facade. `publishing` has an event's way into the log, `subscriptions` how a stream begins and `streams` how
it goes on, `fan_out` what brings the one to the other, and `status` what may be asked. The hub knows no HTTP request,
no Prometheus and no Redis. All of it runs on one event loop.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial

from tornado.iostream import IOStream

from tocsin.core.event import Draft, InternalEvent
from tocsin.core.filters import Filter
from tocsin.eventlog.journal import Journal, MemoryJournal, Once
from tocsin.eventlog.recent import Recent
from tocsin.hub.counters import Counters
from tocsin.hub.history_reads import PAGES_AT_ONCE, HistoryReads
from tocsin.hub.internal_streams import InternalStreams
from tocsin.hub.loop_lag import LoopLag
from tocsin.hub.publishing import Answer, Publishing, Receipt, Receipts
from tocsin.hub.readers import Reader
from tocsin.hub.recent_events import RecentEvents
from tocsin.hub.status import HubStatus
from tocsin.hub.stream import Stream
from tocsin.hub.subscriptions import Subscriptions
from tocsin.settings import Settings, client_limit
from tocsin.tornado_internals import SteadyCallback


class Hub(HubStatus):
    """One log and its open streams.

    Args:
        settings: limits and times; the listener's keys are of no meaning here.
        journal: keeps the log; by default in memory only.
        clock: Unix time in seconds.
        monotonic: seconds of a clock that can't be set.

    Attributes:
        settings: as given.
        clients_limit: how many streams may be open at once.
        counters: what has happened so far.
        loop_lag: how late the loop is.
        history_reads: of pages, for who asks for one; streams read apart from it.
        recent_events: searched for pages, in the same way.
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
        self.counters = counters = Counters()
        journal = journal or MemoryJournal(clock)
        self.loop_lag = LoopLag(counters)
        publishing = Publishing(
            settings, journal, counters, clock, monotonic, self._reset, self.loop_lag
        )
        limit = self.clients_limit
        subscriptions = Subscriptions(settings, publishing, counters, clock, limit)
        super().__init__(publishing, subscriptions, clock)
        self.history_reads = HistoryReads(lambda: publishing.history, counters, PAGES_AT_ONCE)
        self.recent_events = RecentEvents(publishing, self.history_reads)
        self._fan_out = publishing.fan_out
        self._internal_streams = InternalStreams(
            publishing.fan_out, subscriptions.sockets, subscriptions.opening_of_internal
        )
        self._timers: Sequence[SteadyCallback | LoopLag] = [
            SteadyCallback(subscriptions.send_heartbeats, settings.heartbeat * 1000),
            SteadyCallback(subscriptions.tick, 1000),
            self.loop_lag,
        ]

    # --- life -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the journal, fill the ring with its newest events, start the timers.

        Raises:
            SettingsError: the journal can't be opened.
        """
        self.started_at = time.monotonic()
        await self._publishing.start()
        self._subscriptions.start()
        for timer in self._timers:
            timer.start()

    async def drain(self) -> None:
        """Refuse new work, tell each stream when to come back, and end within `drain_timeout`."""
        self.draining = True
        self.polls.end()
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

    # --- what others do with it ---------------------------------------------------------------------

    def enqueue(
        self, drafts: Sequence[Draft], once: Once | None, answer: Answer, received: float = 0.0
    ) -> None:
        """Append `drafts` to the log as one, as `Publishing.append` says and raises."""
        self._publishing.append(drafts, once, answer, received)

    def append(
        self, drafts: Sequence[Draft], once: Once | None = None, received: float = 0.0
    ) -> asyncio.Future[Receipts]:
        """The same for who can wait: the future holds the receipts. Who cancels it gives up the answer only."""
        answer: asyncio.Future[Receipts] = asyncio.get_running_loop().create_future()
        self.enqueue(drafts, once, partial(_settle, answer), received)
        return answer

    async def publish(self, *drafts: Draft) -> Sequence[Receipt]:
        """Append `drafts`, and wait for their receipts; none of either is fine too.

        Raises:
            Unavailable: nothing was published.
        """
        return await self.append(drafts) if drafts else ()

    def emit(self, event: InternalEvent) -> int:
        """Send `event` to the internal streams that asked for its topic, as `Publishing.emit` says."""
        return self._publishing.emit(event)

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
        address: str = "",
        reader: Reader | None = None,
        recent: Recent | None = None,
        agent: str = "",
    ) -> Stream:
        """Open a stream over a connection, and send its opening, as `Subscriptions.open` says.

        Raises:
            Busy: no stream is opened now; the connection is as it was, and still the caller's.
        """
        open = self._subscriptions.open
        return open(
            connection,
            filter,
            last_event_id,
            head,
            chunked,
            presence,
            ignored,
            address,
            reader,
            recent,
            agent,
        )

    def has_all(self, filter: Filter, last_event_id: str | Sequence[str]) -> bool:
        """Whether a client with this id needn't come back, as `Subscriptions.has_all` says."""
        return self._subscriptions.has_all(filter, last_event_id)

    def end_stream(self, stream: Stream, reason: str) -> None:
        """End one stream; its client is told `reason`, and when to come back."""
        self._subscriptions.end_for(stream, reason)

    async def end_streams_where(self, is_over: Callable[[Reader], bool], reason: str) -> None:
        """End the streams and polls of those readers of whom `is_over` says so, in turns of the loop."""
        self.polls.wake_where(is_over)
        await self._subscriptions.end_where(is_over, reason)

    def listen(
        self, connection: socket.socket | IOStream, filter: Filter, *, head: bytes, chunked: bool
    ) -> Stream:
        """Open an internal stream for internal events: `filter` has exact names of reserved topics.

        It is no client, and nothing counts it.
        """
        return self._internal_streams.listen(connection, filter, head, chunked)

    def _reset(self) -> None:
        self._subscriptions.reset()
        self._internal_streams.close()


def _settle(answer: asyncio.Future[Receipts], result: Receipts | Exception) -> None:
    if answer.done():
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)
