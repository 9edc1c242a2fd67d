"""What others may ask of a hub: its log, and how it is. Metrics, pages and health checks read no more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

from tocsin.core.event import EventId
from tocsin.core.filters import Filter
from tocsin.eventlog.journal import EndedTopics, Figures, History
from tocsin.eventlog.kept_newest import KeptNewest
from tocsin.eventlog.ring import RingBuffer
from tocsin.hub.polls import Polls
from tocsin.hub.publishing import Publishing
from tocsin.hub.stream import Stream
from tocsin.hub.subscriptions import Subscriptions
from tocsin.hub.welcome import iso_time
from tocsin.sockets import EndOfTurn

EXPIRING_S = 600.0
"""What counts as soon for credentials of open streams."""


class Kept(NamedTuple):
    """How much of the log is kept: `floor` is the newest seq that isn't, `oldest_time` in Unix seconds."""

    floor: int
    events: int
    bytes: int
    oldest_time: float | None


class HubStatus:
    """The asking half of a `Hub`.

    Attributes:
        streams: the open streams, by the client's number.
        lagging: those of them that are not at the head.
        started_at: when `start` was called, by the machine's monotonic clock.
        polls: requests that wait for events.
        is_leaving: whether it will stop soon: it says that it isn't ready, and takes work all the same.
    """

    def __init__(
        self, publishing: Publishing, subscriptions: Subscriptions, clock: Callable[[], float]
    ) -> None:
        self.streams: dict[int, Stream] = subscriptions.streams
        self.lagging: dict[Stream, None] = subscriptions.lagging
        self.polls: Polls = publishing.polls
        self.started_at = time.monotonic()
        self.is_leaving = False
        self._publishing = publishing
        self._subscriptions = subscriptions
        self._clock = clock

    @property
    def ring(self) -> RingBuffer:
        """The window over the log; another one after a new log began."""
        return self._publishing.ring

    @property
    def ended_topics(self) -> EndedTopics:
        """The topics that have ended by what was delivered; another object after a new log began."""
        return self._publishing.ended

    @property
    def journal_status(self) -> str:
        """Empty while the journal would try an append, else one sentence that says why not."""
        return self._publishing.journal_status

    @property
    def history(self) -> History | None:
        """What the journal keeps beside the ring; None where the ring is all there is."""
        return self._publishing.history

    @property
    def clients(self) -> int:
        """Open streams, with those of other processes of the log as they last told."""
        return self._subscriptions.clients

    @property
    def end_of_turn(self) -> EndOfTurn:
        """When what came in during a turn of the loop is published; for the sockets that it comes in by."""
        return self._publishing.end_of_turn

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
        """Why it is to get no events: ``draining``, ``journal_down`` or ``failed``; or empty."""
        return self._publishing.not_ready or ("draining" if self.is_leaving else "")

    @property
    def is_ready(self) -> bool:
        """Whether it is to get events and streams."""
        return not self.not_ready

    @property
    def journal_figures(self) -> Figures:
        """How the journal is, for who watches it."""
        return self._publishing.figures

    @property
    def is_journal_up(self) -> bool:
        """Whether the journal would try an append now."""
        return self._publishing.is_journal_up

    @property
    def waiting(self) -> int:
        """How many streams wait for a read or a search of the journal, or for an id that this process has not come to."""
        return self._subscriptions.waiting

    @property
    def lag_events_max(self) -> int:
        """Events between the cursor of the slowest lagging stream and the head; only those are walked."""
        slowest = min((stream.taken_cursor for stream in self.lagging), default=self.ring.head)
        return self.ring.head - slowest

    def lagging_longer_than(self, seconds: float) -> int:
        """How many streams have been without an event for so long that is kept in memory; only those that lag are walked."""
        if not self.lagging:
            return 0
        oldest_late = self.ring.newest_before(self._clock() - seconds)
        return sum([stream.taken_cursor < oldest_late for stream in self.lagging])

    @property
    def streams_expiring(self) -> int:
        """How many open streams end within `EXPIRING_S`, because their readers' credentials do."""
        return self._subscriptions.expiring(EXPIRING_S)

    @property
    def limits_used(self) -> dict[str, float]:
        """How much is used of what bounds one principal's or address' streams, all patterns and all polls: 0 to 1."""
        return self._subscriptions.limits_used() | {"max_polls": self.polls.used}

    @property
    def head(self) -> EventId:
        """The id of the newest event; before the first one, the place it will come after."""
        return self.ring.id_at(self.ring.head)

    @property
    def kept(self) -> Kept:
        """What is kept of the log, in memory or not."""
        ring, history = self.ring, self.history
        if history:
            return Kept(history.floor, history.events, history.bytes, history.oldest_time)
        oldest = ring.oldest
        return Kept(ring.floor, len(ring), ring.bytes, oldest.time if oldest else None)

    @property
    def oldest(self) -> EventId | None:
        """The id of the oldest event kept, those aside that stay below the log."""
        floor = self.kept.floor
        return self.ring.id_at(floor + 1) if floor < self.ring.head else None

    @property
    def kept_newest(self) -> KeptNewest | None:
        """What stays of the events that left the log; None where nothing does."""
        return (self.history or self.ring).kept_newest

    @property
    def horizon_s(self) -> float | None:
        """For how many seconds a client may have been away and lose nothing; None without events."""
        oldest = self.kept.oldest_time
        return None if oldest is None else round(max(self._clock() - oldest, 0.0), 3)

    def refuses(self, filter: Filter) -> str:
        """Why `Hub.subscribe` would raise `Busy` now: its reason; empty if it would not."""
        return self._subscriptions.refuses(filter)

    def retry_ms(self, spread: float = 1.5) -> int:
        """A jittered reconnection time, in milliseconds."""
        return self._subscriptions.retry_ms(spread)

    def now_iso(self) -> str:
        """The time as ISO 8601 in UTC, with milliseconds."""
        return iso_time(self._clock())

    def __repr__(self) -> str:
        return (
            f"Hub(clients={len(self.streams)}, lagging={len(self.lagging)}, groups={len(self._publishing.fan_out)},"
            f" {self.ring!r}, not_ready={self.not_ready!r})"
        )
