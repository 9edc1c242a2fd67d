"""The seam between the hub and whatever keeps its log.

A journal gives drafts their ids, keeps them as durably as it promises, and hands committed events to
the hub in the order of their ids. It knows no stream, no receipt and no HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from tocsin.core.event import Draft, Event, EventId


class Opening(msgspec.Struct, frozen=True):
    """What a journal holds when it is opened: the newest events, and the id just before the first."""

    floor: EventId
    events: Sequence[Event] = ()


Deliver = Callable[[Sequence[Event]], None]
"""The hub's end: takes committed events in the order of their ids, without a hole, each once."""

Reset = Callable[[Opening], None]
"""The hub's end: a new epoch began while running. What is delivered next follows the opening's events."""


class Journal(Protocol):
    """Keeps the log. All methods are called on one event loop, and both ends of the hub on the same.

    `deliver` was called for an event before the future of its append is done. The times of the events
    never go back, whatever the machine's clock does.
    """

    async def start(self, deliver: Deliver, reset: Reset, window: int) -> Opening:
        """Open the log and return its newest `window` events at most; later ones go to `deliver`.

        Raises:
            SettingsError: the log can't be opened.
        """

    def append(self, drafts: Sequence[Draft]) -> asyncio.Future[Sequence[EventId]]:
        """Commit `drafts` as one: whole or not at all, one behind the other, in the order of the calls.

        The future holds their ids in the same order; it is done already where nothing is waited for.
        Who cancels it gives up the answer, not the append.

        Raises:
            Unavailable: nothing was committed, and nothing was delivered. Raised by the call, or held by
                the future.
        """

    async def read(self, after: EventId, limit: int) -> Sequence[Event]:
        """At most `limit` events after `after`, oldest first, of what the journal keeps of this epoch.

        They follow one another without a hole. The first may be later than the next after `after`: what
        lies between is gone.

        Raises:
            Unavailable: it can't be read now.
        """

    async def stop(self) -> None:
        """Commit and deliver what is under way, then close. No append may follow."""

    @property
    def status(self) -> str:
        """Empty while an append would be tried, else one sentence that says why not."""
