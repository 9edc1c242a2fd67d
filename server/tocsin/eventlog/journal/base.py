"""The seam between the hub and whatever keeps its log.

A journal gives drafts their ids, keeps them as durably as it promises, and hands committed events to
the hub in the order of their ids. It knows no stream and no HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from tocsin.core.event import Draft, Event, EventId


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What a publisher is told: the event's id, and how many open streams it is for."""

    id: EventId
    recipients: int


class Opening(msgspec.Struct, frozen=True):
    """What a journal holds when it is opened: the newest events, and the id just before the first."""

    floor: EventId
    events: Sequence[Event] = ()


Deliver = Callable[[Sequence[Event]], Sequence[Receipt]]
"""The hub's end: takes committed events in order, without holes, and returns a receipt for each."""


class Journal(Protocol):
    """Keeps the log."""

    async def start(self, deliver: Deliver, window: int) -> Opening:
        """Open the log and return its newest `window` events at most; later ones go to `deliver`.

        Raises:
            SettingsError: the log can't be opened.
        """

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Receipt]:
        """Commit `drafts` as one, deliver them, and return their receipts in the same order.

        Raises:
            Unavailable: nothing was committed, and nothing was delivered.
        """

    async def stop(self) -> None:
        """Commit what is under way and close. No append may follow."""

    @property
    def is_up(self) -> bool:
        """Whether an append would be tried right now."""
