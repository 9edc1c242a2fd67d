"""``POST /api/topics/TOPIC``: anything that can POST a text publishes it."""

from __future__ import annotations

from time import perf_counter
from urllib.parse import unquote

from tocsin.core.cloud_events import VERSION_FIELD
from tocsin.core.event import TOPIC_SCHEMA, TYPE_SCHEMA, check_topic, check_type
from tocsin.core.publish_body import PublishBody, draft_of, read_event_on, text_of
from tocsin.http.answer import Answer
from tocsin.http.later import Later
from tocsin.http.operation import Body, Operation, Parameter, Reply
from tocsin.http.parameters import OF_ANY_QUERY, Parameters, WholeNumber, names_of
from tocsin.http.request import CLOUD_EVENT, JSON, NDJSON, Request
from tocsin.http.routes.notify import (
    BINARY_ATTRIBUTES,
    IDEMPOTENCY_KEY,
    IS_PUBLISHED,
    OF_JSON,
    OF_PUBLISHING,
    STRUCTURED_CLOUD_EVENT,
    Published,
    PublishRoute,
)

PREFIX = "/api/topics/"
FINAL = "final"
DEFAULT_TYPE = "notification"

OF_PATH = Parameter(
    name="topic",
    summary="Where it goes: the rest of the path, slashes too.",
    example="ops/disks",
    schema=TOPIC_SCHEMA,
    place="path",
    is_required=True,
    codes=("invalid_topic", "reserved_topic"),
)
TYPE_OF_TEXT = Parameter(
    name="type",
    summary="The event type of a text, and of JSON that names none.",
    example="alert",
    schema={**TYPE_SCHEMA, "default": DEFAULT_TYPE},
    codes=(*OF_ANY_QUERY, "invalid_type", "reserved_type"),
)
FINAL_FLAG = WholeNumber.of(
    FINAL, "`1`: it ends its topic, as `final` of an event does.", "0", least=0, most=1, default=0
)
KNOWN = names_of([TYPE_OF_TEXT, FINAL_FLAG])


class TopicsRoute(PublishRoute):
    """Publishes one event on the topic in its path: the body is its message, or JSON, or a CloudEvent."""

    name = "topics"
    operations = (
        Operation(
            method="POST",
            needs="publish",
            summary="Publish a text",
            text="The body is the message, whatever else its `Content-Type` says; line ends behind it are cut off.",
            parameters=(OF_PATH, TYPE_OF_TEXT, FINAL_FLAG, IDEMPOTENCY_KEY, *BINARY_ATTRIBUTES),
            bodies=(
                Body(
                    media_type="text/plain",
                    shape={"type": "string", "minLength": 1, "maxLength": "max_event_bytes"},
                    summary="The message, in UTF-8.",
                    example="Disk almost full",
                ),
                Body(
                    media_type=JSON,
                    shape=PublishBody,
                    summary="An event as `/api/notify` takes it, whose type and topic may be left out.",
                    example='{"message": "Disk almost full", "data": {"used": 0.93}}',
                ),
                STRUCTURED_CLOUD_EVENT,
            ),
            replies=(Reply(summary=IS_PUBLISHED, shape=Published),),
            codes=(
                *OF_JSON,
                *OF_PUBLISHING,
                "topic_mismatch",
                "invalid_text",
                "invalid_specversion",
            ),
        ),
    )
    taken = f"text, a form's as curl sends one, {JSON} or {CLOUD_EVENT}, in UTF-8"

    def takes(self, request: Request) -> bool:
        """All but batches and what is surely no text."""
        if request.media_type or VERSION_FIELD in request.headers:
            return request.media_type != NDJSON
        name, _, parameters = request.headers.get("content-type", "").lower().partition(";")
        charset = parameters.partition("charset=")[2].strip('" ')
        return not name.startswith("multipart/") and charset in ("", "utf-8", "us-ascii")

    def answer(self, request: Request) -> Answer | Later:
        """Publish, and answer when the journal has committed."""
        began = perf_counter()
        refused = self.refuse(request, len(request.body), request.body)
        if refused:
            return refused
        topic = check_topic(unquote(request.path.removeprefix(PREFIX)))
        parameters = Parameters.read(request, KNOWN)
        type = check_type(parameters.last("type", DEFAULT_TYPE))
        final = FINAL_FLAG.read(parameters) == 1
        timestamp, max_bytes = self._hub.now_iso(), self._hub.settings.max_event_bytes
        draft = self.cloud_event(request, topic, final)
        if draft is None and request.media_type == JSON:
            draft = read_event_on(
                topic, request.body, type, timestamp, max_bytes=max_bytes, final=final
            )
        elif draft is None:
            message = text_of(request.body)
            draft = draft_of(type, message, {}, topic, timestamp, max_bytes=max_bytes, final=final)
        return self.publish(request, (draft,), False, began)
