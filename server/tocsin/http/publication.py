"""What a request publishes, and what its publisher is told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, cast

from tornado.httputil import HTTPServerRequest

from tocsin.core.event import Draft, InternalEvent
from tocsin.core.publish_body import Slices, is_array, read_batch, read_event, read_internal
from tocsin.eventlog.journal import Receipt
from tocsin.http.base import is_internal
from tocsin.hub.hub import Hub

JSON = "application/json"
NDJSON = "application/x-ndjson"


def media_type(request: HTTPServerRequest) -> str:
    """`JSON` or `NDJSON`, which the body is said to be; empty where it is anything else."""
    return _media_type(request.headers.get("Content-Type", ""))


@lru_cache(maxsize=64)
def _media_type(content_type: str) -> str:
    name, *parameters = content_type.lower().split(";")
    charsets = [p.strip() for p in parameters if p.strip().startswith("charset=")]
    if name.strip() not in (JSON, NDJSON) or charsets not in ([], ["charset=utf-8"]):
        return ""
    return name.strip()


class Publication(NamedTuple):
    """One event, a batch of them, or a signal that the hub sends itself."""

    drafts: Sequence[Draft]
    is_batch: bool = False
    signal: InternalEvent | None = None

    @classmethod
    def read(
        cls, hub: Hub, request: HTTPServerRequest, body: bytes, *, ndjson: bool
    ) -> Publication:
        """What `request`, whose body is `body`, publishes.

        Raises:
            InvalidInput: it can't be taken, and so nothing is published.
        """
        now, settings = hub.now_iso(), hub.settings
        if is_internal(hub, request):
            return cls((), signal=read_internal(body, now))
        if not ndjson and not is_array(body):
            return cls([read_event(body, now, max_bytes=settings.max_event_bytes)])
        slices = read_batch(
            body,
            now,
            ndjson=ndjson,
            max_bytes=settings.max_event_bytes,
            max_events=settings.max_batch_events,
        )
        return cls(_at_one_go(slices), is_batch=True)

    async def publish(self, hub: Hub) -> dict[str, object]:
        """Publish it, and return what to answer when the journal has committed.

        Raises:
            Unavailable: nothing was published.
        """
        if self.signal:
            recipients = hub.emit(self.signal)
            return {"success": True, "sentTo": recipients, "event": self.signal.type}
        receipts = await hub.publish(*self.drafts)
        return _of_batch(receipts) if self.is_batch else _of_one(self.drafts[0], receipts[0])


def _at_one_go(slices: Slices) -> Sequence[Draft]:
    while True:
        try:
            next(slices)
        except StopIteration as done:
            return cast(Sequence[Draft], done.value)


def _of_one(draft: Draft, receipt: Receipt) -> dict[str, object]:
    return {
        "success": True,
        "sentTo": receipt.recipients,
        "event": draft.type,
        "id": str(receipt.id),
        "topic": draft.topic,
    }


def _of_batch(receipts: Sequence[Receipt]) -> dict[str, object]:
    return {
        "success": True,
        "events": len(receipts),
        "sentTo": [receipt.recipients for receipt in receipts],
        "ids": [str(receipt.id) for receipt in receipts],
    }
