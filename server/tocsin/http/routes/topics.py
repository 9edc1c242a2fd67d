"""``POST /api/topics/TOPIC``: anything that can POST a text publishes it."""

from __future__ import annotations

from time import perf_counter
from urllib.parse import unquote

from tocsin.core.cloud_events import VERSION_FIELD
from tocsin.core.event import check_topic, check_type
from tocsin.core.numbers import whole_number
from tocsin.core.publish_body import draft_of, read_event_on, text_of
from tocsin.http.answer import Answer
from tocsin.http.later import Later
from tocsin.http.parameters import Parameters
from tocsin.http.request import CLOUD_EVENT, JSON, NDJSON, Request
from tocsin.http.routes.notify import PublishRoute

PREFIX = "/api/topics/"
FINAL = "final"
KNOWN = frozenset({"type", FINAL})
DEFAULT_TYPE = "notification"


class TopicsRoute(PublishRoute):
    """Publishes one event on the topic in its path: the body is its message, or JSON, or a CloudEvent."""

    name = "topics"
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
        final = whole_number(parameters.last(FINAL, "0"), FINAL, least=0, most=1) == 1
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
