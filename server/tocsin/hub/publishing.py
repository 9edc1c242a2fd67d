"""What a publisher is told of each event."""

from __future__ import annotations

import msgspec

from tocsin.core.event import EventId


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """The event's id, and how many open streams it is for."""

    id: EventId
    recipients: int
