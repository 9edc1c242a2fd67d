"""The client for Python: subscribe and publish, with asyncio or without. It imports nothing of the hub.

It needs httpx: ``pip install 'tocsin[client]'``. How to use it: docs/client-python.md.
"""

from tocsin.client.errors import (
    ClientError,
    EventTooLarge,
    NotAnEventStream,
    Refused,
    Unauthorized,
    Unavailable,
    UnknownOutcome,
    Unreachable,
)
from tocsin.client.event import Event
from tocsin.client.parser import EventStreamParser
from tocsin.client.publishing import (
    BlockingPublisher,
    Fields,
    Publisher,
    Receipt,
    publish,
    publish_blocking,
)
from tocsin.client.stream_state import Asked, State
from tocsin.client.subscription import (
    BlockingSubscription,
    Subscription,
    subscribe,
    subscribe_blocking,
)

__all__ = [
    "Asked",
    "BlockingPublisher",
    "BlockingSubscription",
    "ClientError",
    "Event",
    "EventStreamParser",
    "EventTooLarge",
    "Fields",
    "NotAnEventStream",
    "Publisher",
    "Receipt",
    "Refused",
    "State",
    "Subscription",
    "Unauthorized",
    "Unavailable",
    "UnknownOutcome",
    "Unreachable",
    "publish",
    "publish_blocking",
    "subscribe",
    "subscribe_blocking",
]
