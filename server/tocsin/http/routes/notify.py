"""``POST /api/notify``: an event or a batch in, and one answer that a program can rely on."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from functools import partial
from time import monotonic, perf_counter
from typing import Annotated

import msgspec
from msgspec import Meta

from tocsin.access import audit
from tocsin.access.limits import PublishLimits
from tocsin.access.principal import EVERYBODY, Principal
from tocsin.core.cloud_events import (
    CLOUD_EVENT_SCHEMA,
    VERSION_FIELD,
    draft_of_cloud_event,
    read_binary,
    read_structured,
)
from tocsin.core.event import DEFAULT_TOPIC, TOPIC_SCHEMA, Draft, id_texts
from tocsin.core.idempotency import KEY_SCHEMA, check_key, digest_of
from tocsin.core.publish_body import (
    REQUIRED,
    EventBody,
    PublishBody,
    is_array,
    read_batch,
    read_event,
    read_internal,
)
from tocsin.core.strict_json import MAX_DIGITS
from tocsin.core.tracing import trace_of
from tocsin.errors import (
    Forbidden,
    InvalidInput,
    RateLimited,
    Refused,
    TopicEnded,
    Unauthorized,
)
from tocsin.eventlog.journal import Once
from tocsin.http.answer import Answer, of_json, refusal
from tocsin.http.later import Later
from tocsin.http.operation import Body, Operation, Parameter, Reply
from tocsin.http.parameters import OF_ANY_QUERY, Parameters, names_of
from tocsin.http.request import CLOUD_EVENT, JSON, NDJSON, Request
from tocsin.http.routes.base import Route, closing, too_large
from tocsin.hub.hub import Hub
from tocsin.hub.publishing import Receipt, Receipts

TRACEPARENT = "traceparent"

KEY_HEADER = "Idempotency-Key"
KEY_FIELD = KEY_HEADER.lower()

Steps = Generator[None, None, Sequence[Draft]]


class Published(msgspec.Struct, gc=False, omit_defaults=True):
    """What the publisher of one event is told.

    Attributes:
        success: true.
        sentTo: how many open streams of this process it is for.
        event: its event type.
        id: its place in the log.
        topic: the first of its topics.
        topics: all of its topics, where there are several.
        duplicate: true where it was published before, under the same idempotency key, and now was not.
    """

    success: bool
    sentTo: int  # noqa: N815 - the contract's name
    event: str
    id: str
    topic: str
    topics: tuple[str, ...] = ()
    duplicate: bool = False


class PublishedBatch(msgspec.Struct, gc=False, omit_defaults=True):
    """What the publisher of a batch is told.

    Attributes:
        success: true.
        events: how many there are.
        sentTo: how many open streams of this process each is for.
        ids: their places in the log.
        duplicate: true where they were published before, under the same idempotency key, and now were not.
    """

    success: bool
    events: int
    sentTo: list[int]  # noqa: N815 - as above
    ids: list[str]
    duplicate: bool = False


IDEMPOTENCY_KEY = Parameter(
    name=KEY_HEADER,
    summary="The same request under the same key is published once, and answered alike.",
    example="deploy-4.2",
    schema=KEY_SCHEMA,
    place="header",
    codes=("invalid_key", "key_reused"),
)
OF_CLOUD_EVENT = Parameter(
    name="topic",
    summary="Where a CloudEvent goes; it has no topic of its own.",
    example="shop/orders",
    schema=TOPIC_SCHEMA,
    codes=(*OF_ANY_QUERY, "invalid_topic", "reserved_topic"),
)
CLOUD_EVENT_PARAMETERS = names_of([OF_CLOUD_EVENT])
BINARY_ATTRIBUTES = tuple(
    Parameter(
        name=f"ce-{name}",
        summary=f"The attribute `{name}` of a CloudEvent in binary form, whose data is the body.",
        example=example,
        schema=CLOUD_EVENT_SCHEMA["properties"][name],
        place="header",
    )
    for name, example in (
        ("specversion", "1.0"),
        ("id", "17"),
        ("source", "/shop"),
        ("type", "shop.order.paid"),
        ("subject", "order 17"),
    )
)
OF_JSON = (
    *("invalid_json", "duplicate_key", "too_deep", "invalid_unicode", "unknown_field"),
    *("invalid_field", "missing_field", "invalid_type", "reserved_type"),
    *("invalid_topic", "reserved_topic", "repeated_topic", "too_many_topics"),
)
"""Codes of an event as JSON."""

OF_PUBLISHING = (
    *("invalid_key", "key_reused", "topic_ended", "rate_limited", "foreign_origin"),
    *("unsupported_type", "unsupported_encoding", "journal_down", "unknown_outcome", "failed"),
    *("storage_full", "journal_full", "restart"),
)
"""Codes of everything that publishes."""

ONE_EVENT = Annotated[PublishBody, Meta(extra_json_schema={"required": REQUIRED})]
BATCH = Annotated[
    list[Annotated[EventBody, Meta(extra_json_schema={"required": REQUIRED})]],
    Meta(extra_json_schema={"minItems": 1, "maxItems": "max_batch_events"}),
]
EXAMPLE = '{"type": "deploy", "message": "Shop 4.2 is out", "topic": "shop/deploys"}'
CLOUD_EVENT_EXAMPLE = '{"specversion": "1.0", "id": "17", "source": "/shop", "type": "shop.order.paid", "data": {"total": 12}}'
STRUCTURED_CLOUD_EVENT = Body(
    media_type=CLOUD_EVENT,
    shape=CLOUD_EVENT_SCHEMA,
    summary="A CloudEvent 1.0, structured. Its source and id are its idempotency key, unless the header is there.",
    example=CLOUD_EVENT_EXAMPLE,
)
IS_PUBLISHED = "It is published, and in the journal."


class PublishRoute(Route):
    """What all routes have in common that publish: limits, rights, idempotency keys, the answer.

    Of a route's own are the bodies that it takes (`takes`, `is_batch`), and what they mean (`answer`).
    """

    is_limited = True
    taken = ""
    """What `takes` takes, in words."""

    def __init__(self, hub: Hub, limits: PublishLimits) -> None:
        self._hub = hub
        self._limits = limits if limits.are_set else None
        settings = hub.settings
        # The settings that bound a body, by what it is; as long as that isn't known, the larger one does.
        self._of_batch = ("max_batch_bytes", settings.max_batch_bytes)
        self._of_event = ("max_event_bytes", settings.max_event_bytes)
        self._of_any = max(self._of_batch, self._of_event, key=lambda limit: limit[1])
        self._always_taken = min(settings.max_batch_bytes, settings.max_event_bytes)

    def check_rights(self, request: Request) -> None:
        """Refuse who may publish nowhere, before the body is read."""
        principal = request.principal
        if principal is not EVERYBODY and not principal.publish and not request.is_internal:
            raise principal.refusal("publish", "on any topic")

    def refuse(self, request: Request, body_bytes: int, beginning: bytes) -> Answer | None:
        """A type that isn't taken, or a body that is too large for what it is."""
        if request.method != "POST":
            return super().refuse(request, body_bytes, beginning)
        if request.media_type != JSON and not self.takes(request):  # all of them take JSON
            message = f"Content-Type must be {self.taken}"
            return self._refuse("unsupported", refusal(415, message, "unsupported_type"))
        if (
            "content-encoding" in request.headers
            and request.headers["content-encoding"] != "identity"
        ):
            message = "Content-Encoding is not taken here"
            return self._refuse("unsupported", refusal(415, message, "unsupported_encoding"))
        if body_bytes <= self._always_taken:
            return None
        name, limit = self._of_any
        if body_bytes <= limit:  # else it is too large for whatever it turns out to be
            name, limit = self._limit(request, beginning)
        if body_bytes > limit:
            return self._refuse("too_large", too_large(f"the body is larger than {name}", limit))
        return None

    def takes(self, request: Request) -> bool:
        """Whether a body of this media type is taken."""
        raise NotImplementedError

    def is_batch(self, request: Request, beginning: bytes) -> bool:
        """Whether a body that begins so may be as large as a batch."""
        return False

    def cloud_event(self, request: Request, topic: str, final: bool = False) -> Draft | None:
        """The draft of `request`, if it is a CloudEvent, on `topic`; `final` ends it.

        Raises:
            InvalidInput: it can't be taken.
        """
        if request.media_type == CLOUD_EVENT:
            event = read_structured(request.body)
        elif VERSION_FIELD in request.headers:
            is_json = request.media_type == JSON
            event = read_binary(request.headers, request.body, is_json=is_json)
        else:
            return None
        return draft_of_cloud_event(
            event,
            topic,
            self._hub.now_iso(),
            max_bytes=self._hub.settings.max_event_bytes,
            has_key=KEY_FIELD in request.headers,
            final=final,
        )

    def count_refusal(self, error: Exception) -> None:
        """An event, or a batch, that was not published."""
        if not isinstance(error, InvalidInput):
            reason = "unavailable"
        elif isinstance(error, Refused | Unauthorized | Forbidden):
            reason = "forbidden"
        elif isinstance(error, RateLimited):
            reason = "rate_limited"
        elif isinstance(error, TopicEnded):
            reason = "ended"
        else:
            reason = "too_large" if error.status == 413 else "invalid"
        self._hub.counters.publish_rejected[reason] += 1

    async def read_on(self, steps: Steps, began: float, request: Request) -> Answer:
        """Read the rest of a large batch, a slice each turn of the loop."""
        while True:
            await asyncio.sleep(0)
            try:
                next(steps)
            except StopIteration as read:
                drafts = read.value
                self.count_batch(drafts, request)
                sign(drafts, request.principal, True)
                keep_trace(drafts, request)
                once = _once(request, drafts, is_batch=True)
                try:
                    receipts = await self._hub.append(drafts, once, request.received)
                except TopicEnded as error:
                    raise error.at(error.place) from None
                return self._published(drafts, True, began, request, receipts)

    def count_batch(self, drafts: Sequence[Draft], request: Request) -> None:
        """Count the events of a batch in the limits of its publisher; the edge has counted one."""
        if self._limits:
            name = request.principal.name
            self._limits.take(name, request.peer, max(len(drafts) - 1, 0), 0, monotonic())

    def publish(
        self, request: Request, drafts: Sequence[Draft], is_batch: bool, began: float
    ) -> Later:
        """Publish `drafts`; `began` is when the request was taken, by `perf_counter`."""
        sign(drafts, request.principal, is_batch)
        if TRACEPARENT in request.headers:
            keep_trace(drafts, request)
        later = Later(partial(self._published, drafts, is_batch, began, request))
        answer = partial(_give_of_batch, later) if is_batch else later.give
        self._hub.enqueue(drafts, _once(request, drafts, is_batch), answer, request.received)
        return later

    def _published(
        self,
        drafts: Sequence[Draft],
        is_batch: bool,
        began: float,
        request: Request,
        receipts: Receipts,
    ) -> Answer:
        if audit.is_on():
            note_in_audit(request, drafts, receipts)
        self._hub.counters.publish_s.observe(perf_counter() - began)
        return of_json(_of_batch(receipts) if is_batch else _of_one(drafts[0], receipts[0]))

    def _limit(self, request: Request, beginning: bytes) -> tuple[str, int]:
        """The setting that bounds the body, and its value.

        A batch may be larger than an event, and only the first byte of an array tells it from one.
        """
        if self.is_batch(request, beginning):
            return self._of_batch
        return self._of_event if beginning.strip() else self._of_any

    def _refuse(self, reason: str, answer: Answer) -> Answer:
        """The answer to a body that isn't read; the connection ends behind it."""
        self._hub.counters.publish_rejected[reason] += 1
        return closing(answer)


def _give_of_batch(later: Later, result: Receipts | Exception) -> None:
    """Give `later` what came of a batch, with the place of what it was refused for."""
    later.give(result.at(result.place) if isinstance(result, TopicEnded) else result)


class NotifyRoute(PublishRoute):
    """Publishes an event, or a batch of them."""

    name = "notify"
    operations = (
        Operation(
            method="POST",
            needs="publish",
            summary="Publish an event, or a batch",
            text="A batch is published whole and in order, or not at all; `index` of an error says which event is at"
            f" fault. Whole numbers have {MAX_DIGITS} digits at most, as a double holds no more.",
            parameters=(IDEMPOTENCY_KEY, OF_CLOUD_EVENT, *BINARY_ATTRIBUTES),
            bodies=(
                Body(
                    media_type=JSON,
                    shape=(ONE_EVENT, BATCH),
                    summary="An event, or an array of events. With `ce-specversion`, the data of a CloudEvent.",
                    example=EXAMPLE,
                ),
                Body(
                    media_type=NDJSON,
                    shape=BATCH,
                    summary="A batch: an event a line. As an array, too, it has `max_batch_bytes` at most.",
                    example=f"{EXAMPLE}\n{EXAMPLE}\n",
                ),
                STRUCTURED_CLOUD_EVENT,
            ),
            replies=(Reply(summary=IS_PUBLISHED, shape=(Published, PublishedBatch)),),
            codes=(*OF_JSON, *OF_PUBLISHING, "batch_size", "invalid_specversion"),
        ),
    )
    taken = f"{JSON}, {NDJSON} or {CLOUD_EVENT}, in UTF-8"

    def takes(self, request: Request) -> bool:
        """JSON, NDJSON and CloudEvents."""
        return bool(request.media_type) or VERSION_FIELD in request.headers

    def is_batch(self, request: Request, beginning: bytes) -> bool:
        """NDJSON, and an array."""
        return request.media_type == NDJSON or is_array(beginning)

    def answer(self, request: Request) -> Answer | Later:
        """Publish, and answer when the journal has committed."""
        began = perf_counter()
        hub, body = self._hub, request.body
        refused = self.refuse(request, len(body), body)
        if refused:
            return refused
        if request.is_internal:
            event = read_internal(body, hub.now_iso())
            return of_json({"success": True, "sentTo": hub.emit(event), "event": event.type})
        max_bytes = hub.settings.max_event_bytes
        if VERSION_FIELD in request.headers or request.media_type == CLOUD_EVENT:
            draft = self.cloud_event(request, self._topic(request))
            assert draft
            return self.publish(request, (draft,), False, began)
        if not is_array(body) and request.media_type == JSON:
            draft = read_event(body, hub.now_iso(), max_bytes=max_bytes)
            return self.publish(request, (draft,), False, began)
        steps = read_batch(
            body,
            hub.now_iso(),
            ndjson=request.media_type == NDJSON,
            max_bytes=max_bytes,
            max_events=hub.settings.max_batch_events,
        )
        try:
            next(steps)
        except StopIteration as read:  # small enough to be read in one go
            self.count_batch(read.value, request)
            return self.publish(request, read.value, True, began)
        return Later.of(self.read_on(steps, began, request))

    @staticmethod
    def _topic(request: Request) -> str:
        """That of a CloudEvent, which has none of its own."""
        return Parameters.read(request, CLOUD_EVENT_PARAMETERS).last("topic", DEFAULT_TOPIC)


def sign(drafts: Sequence[Draft], principal: Principal, is_batch: bool) -> None:
    """Say in `drafts`, which nobody has seen yet, that `principal` published them.

    Raises:
        Unauthorized, Forbidden: it may not publish one of them, and so none is.
    """
    if principal is EVERYBODY:
        return
    may_all, name = principal.publish.is_everything, principal.name
    for index, draft in enumerate(drafts):
        if not may_all or draft.final:
            try:
                principal.check_publish(draft.topics, final=draft.final)
            except InvalidInput as error:
                raise error.at(index) if is_batch else error from None
        msgspec.structs.force_setattr(draft, "principal", name)


def keep_trace(drafts: Sequence[Draft], request: Request) -> None:
    """Keep in `drafts`, which nobody has seen yet, the trace that `request` belongs to, if it says so."""
    traceparent = request.headers.get(TRACEPARENT)
    if traceparent and trace_of(traceparent):
        for draft in drafts:
            msgspec.structs.force_setattr(draft, "traceparent", traceparent)


def note_in_audit(request: Request, drafts: Sequence[Draft], receipts: Sequence[Receipt]) -> None:
    """Write a line of the audit log for what was published."""
    audit.note_publish(
        request.principal.name,
        request.peer,
        [receipt.id for receipt in receipts],
        [draft.type for draft in drafts],
        [topic for draft in drafts for topic in draft.topics],
    )


def _once(request: Request, drafts: Sequence[Draft], is_batch: bool) -> Once | None:
    """The idempotency key that `drafts` came with, and what they are; None where they came with none.

    Raises:
        InvalidInput: the key can't be one, or the header and the event have different ones.
    """
    in_header = request.headers.get(KEY_FIELD)
    key = "" if is_batch else drafts[0].key
    if in_header is None and not key:
        return None
    if in_header is not None:
        check_key(in_header, KEY_HEADER)
        if key not in ("", in_header):
            message = f"key is not what the header {KEY_HEADER} says"
            raise InvalidInput(message, code="invalid_key", field="key")
        key = in_header
    return Once(request.principal.name, key, digest_of(drafts))


def _of_one(draft: Draft, receipt: Receipt) -> Published:
    return Published(
        True,
        receipt.recipients,
        draft.type,
        str(receipt.id),
        draft.topic,
        draft.topics if draft.more_topics else (),
        receipt.is_duplicate,
    )


def _of_batch(receipts: Sequence[Receipt]) -> PublishedBatch:
    return PublishedBatch(
        True,
        len(receipts),
        [receipt.recipients for receipt in receipts],
        id_texts([receipt.id for receipt in receipts]),
        receipts[0].is_duplicate,
    )
