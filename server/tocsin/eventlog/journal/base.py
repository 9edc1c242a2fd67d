"""The seam between the hub and whatever keeps its log.

A journal gives drafts their ids, keeps them as durably as it promises, and hands committed events to
the hub in the order of their ids. It knows no stream, no receipt and no HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from tocsin.core.event import Draft, Event, EventId
from tocsin.core.filters import Filter
from tocsin.errors import KeyReused, TopicEnded, Unavailable
from tocsin.eventlog.journal.ended import Ended
from tocsin.eventlog.kept_newest import KeptNewest


class Once(msgspec.Struct, frozen=True):
    """What makes an append happen once, however often its publisher asks for it.

    Attributes:
        scope: the publisher, as the hub knows them; empty for everybody.
        key: the publisher's idempotency key.
        digest: of what is to be published, in 16 bytes; the time of the request is no part of it.
    """

    scope: str
    key: str
    digest: bytes


class Append(msgspec.Struct, frozen=True, gc=False):
    """What one publisher wants to have appended: whole or not at all, one draft behind the other."""

    drafts: Sequence[Draft]
    once: Once | None = None


class Committed(msgspec.Struct, frozen=True, gc=False):
    """An append that is in the log.

    Attributes:
        ids: of its events, in the order of the drafts; they follow one another.
        is_duplicate: its key was known. The ids are those of the first time, and nothing was appended.
    """

    ids: Sequence[EventId]
    is_duplicate: bool = False


Outcome = Committed | KeyReused | TopicEnded
"""What came of one append of a group. Nothing was appended where the key stands for something else (`KeyReused`), or
an event is for a topic that has ended, or ends in the same append before it (`TopicEnded`)."""


class Window(NamedTuple):
    """What of the log lies in memory: the newest events that keep both limits."""

    events: int
    bytes: int


class Opening(msgspec.Struct, frozen=True):
    """What a journal holds when it is opened.

    Attributes:
        floor: the id just before the first of the events.
        events: the newest.
        ended: the topics that have ended by these or earlier events, as far as they are remembered; the oldest first.
    """

    floor: EventId
    events: Sequence[Event] = ()
    ended: Sequence[Ended] = ()


class Page(msgspec.Struct, frozen=True):
    """What a read of the history found.

    Attributes:
        events: those that the filter lets through, oldest first.
        cursor: the seq of the last event that was looked at. Reading goes on after it; it is the newest
            event of the journal where nothing is left.
    """

    events: Sequence[Event]
    cursor: int


class PageBefore(msgspec.Struct, frozen=True):
    """What a search back through the history found.

    Attributes:
        events: those that the filter lets through, oldest first.
        before: the seq of the oldest event that was looked at: what the filter lets through from there on is here.
            Searching goes on before it. Nothing is left where it is no more than one above the floor.
    """

    events: Sequence[Event]
    before: int


class History(Protocol):
    """What a journal keeps, the window in memory and what is older. Called on the loop.

    Attributes:
        floor: the newest seq that was evicted from the journal; 0 before any eviction.
        events: how many are kept.
        bytes: that they take.
        oldest_time: Unix time of the oldest event kept, in seconds; None where none is.
        kept_newest: what stays of the events up to the floor; None where nothing does.
        may_be_ahead: whether others append to the same log, so that an event may be in it and not here yet.
    """

    @property
    def floor(self) -> int: ...  # noqa: D102
    @property
    def events(self) -> int: ...  # noqa: D102
    @property
    def bytes(self) -> int: ...  # noqa: D102
    @property
    def oldest_time(self) -> float | None: ...  # noqa: D102
    @property
    def kept_newest(self) -> KeptNewest | None: ...  # noqa: D102
    @property
    def may_be_ahead(self) -> bool: ...  # noqa: D102

    def has_lost(self, seq: int, filter: Filter) -> bool:
        """Whether a stream of `filter` at `seq` has lost something for good. No I/O; in doubt it has.

        What stays in `kept_newest` isn't lost.
        """

    async def read(self, after: int, filter: Filter, *, max_events: int, max_bytes: int) -> Page:
        """Events after `after` and the floor, oldest first, of this epoch.

        The work of one call is bounded: it may look at many events and find none, and `Page.cursor` says how
        far it came. It ends behind the event that fills `max_events` or `max_bytes` of encoded events.

        Raises:
            Unavailable: it can't be read now.
        """

    async def newest(
        self, filter: Filter, count: int, *, max_bytes: int, before: int
    ) -> PageBefore:
        """The newest `count` events with a seq below `before`, oldest first.

        The work of one call is bounded: it may look at many events and find none, and `PageBefore.before` says how
        far it came: below `before`, unless nothing is left. It ends with the event that fills `count` or `max_bytes`.

        Raises:
            Unavailable: it can't be read now.
        """


class Figures(msgspec.Struct, frozen=True):
    """How a journal is, for who watches it; what it doesn't have is 0.

    Attributes:
        file_bytes: that its files take.
        disk_free_bytes: left for them on their disk.
        reconnects: how often it has lost its server and found it again, or opened its file anew.
        tail_lag_events: in the log, and not here yet, as the last look showed.
        tail_age_s: since that look.
    """

    file_bytes: int = 0
    disk_free_bytes: int = 0
    reconnects: int = 0
    tail_lag_events: int = 0
    tail_age_s: float = 0.0


class Nodes(Protocol):
    """The processes that share a log. What is known of the others is what they last said: up to a second old.

    Attributes:
        number_base: client numbers of this process come after it, and no other process has those.
        clients_elsewhere: open streams of the others.
    """

    @property
    def number_base(self) -> int: ...  # noqa: D102
    @property
    def clients_elsewhere(self) -> int: ...  # noqa: D102

    def report(self, clients: int) -> None:
        """Have the others told that this process has so many open streams."""


Deliver = Callable[[Sequence[Event]], None]
"""The hub's end: takes committed events in the order of their ids, without a hole, each once."""

Reset = Callable[[Opening], None]
"""The hub's end: a new epoch began while running, or of this one events were lost before they were delivered.
What is delivered next follows the opening's events."""

Tell = Callable[[Sequence[Outcome] | Exception], None]
"""The hub's end: takes what came of a group, which is an outcome for each append in their order, or why nothing of it was
committed. Called once for a group, and never raises. No future: for the POSTs of a turn it would cost another turn."""


def unknown_outcome(reason: str, retry_after_s: int = 1) -> Unavailable:
    """What is told of a group that may be committed, or not."""
    message = f"nobody knows whether this was published: {reason}; a retry is safe with an idempotency key"
    return Unavailable(message, code="unknown_outcome", retry_after_s=retry_after_s)


class Journal(Protocol):
    """Keeps the log. All methods are called on one event loop, and both ends of the hub on the same.

    `deliver` was called for an event before what came of its group is told. The times of the events
    never go back, whatever the machine's clock does.

    Attributes:
        history: what it keeps beside the window in memory; None where the window is all there is.
        nodes: who else has the log; None where nobody can.
        figures: how it is. No I/O: what takes some is up to some seconds old.
    """

    @property
    def history(self) -> History | None: ...  # noqa: D102
    @property
    def nodes(self) -> Nodes | None: ...  # noqa: D102
    @property
    def figures(self) -> Figures: ...  # noqa: D102

    async def start(self, deliver: Deliver, reset: Reset, window: Window) -> Opening:
        """Open the log and return its newest events, as many as `window` holds; later ones go to `deliver`.

        Raises:
            SettingsError: the log can't be opened.
        """

    def append(self, appends: Sequence[Append], tell: Tell) -> None:
        """Commit a group: all that came in during one turn of the loop, in the order of the calls.

        Each append is committed whole or not at all, and what is committed of a group is committed together.
        `tell` is called before this returns where nothing is waited for; never where this raises.

        Raises:
            Unavailable: nothing of the group was committed, and nothing delivered. What comes later is told.
        """

    async def stop(self) -> None:
        """Commit and deliver what is under way, then close. No append may follow."""

    @property
    def status(self) -> str:
        """Empty while an append would be tried, else one sentence that says why not."""
