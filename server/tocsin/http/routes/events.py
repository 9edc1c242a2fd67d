"""``GET /events``: a stream."""

from __future__ import annotations

import logging
import time

from tocsin.access.principal import EVERYBODY
from tocsin.core.event import ID_SCHEMA
from tocsin.core.filters import Filter
from tocsin.core.publish_body import Payload
from tocsin.errors import Forbidden, InvalidInput, Unauthorized, Unavailable
from tocsin.eventlog.recent import Recent
from tocsin.eventlog.resume import EARLIEST
from tocsin.http.answer import Answer, ClosingStream, of_error
from tocsin.http.credentials import TICKET
from tocsin.http.open_stream import (
    EVENT_STREAM,
    OpenStream,
    come_back,
    stream_head,
    takes_events,
)
from tocsin.http.operation import Operation, Parameter, Reply
from tocsin.http.origins import Origins
from tocsin.http.parameters import (
    LAST,
    LAST_COUNT,
    LAST_EVENT_ID,
    OF_ANY_QUERY,
    PER_TOPIC,
    PER_TOPIC_COUNT,
    TOPIC,
    TYPE,
    Parameters,
    names_of,
    not_both,
    recent_of,
)
from tocsin.http.request import Request
from tocsin.http.routes.base import Route
from tocsin.hub.hub import Hub
from tocsin.hub.welcome import EVENTS
from tocsin.logs import is_wanted

log = logging.getLogger("tocsin.streams")

EVENT_SCHEMA = {
    "type": "object",
    "properties": {
        "event": {"type": "string"},
        "data": {"type": "string"},
        "id": ID_SCHEMA,
        "retry": {"type": "integer", "minimum": 1_000, "maximum": 300_000},
    },
}

PARAMETERS = (
    TOPIC,
    TYPE,
    PER_TOPIC_COUNT,
    LAST_COUNT,
    Parameter(
        name=LAST_EVENT_ID,
        summary=f"The id to go on after; `{EARLIEST}` is everything kept. Of several the newest counts.",
        example=EARLIEST,
        schema={"type": "string"},
        is_repeatable=True,
        codes=(*OF_ANY_QUERY, "conflicting_parameters"),
    ),
    Parameter(
        name="presence",
        summary="`1`: the event `presence` tells of how many are connected, when that changes.",
        example="1",
        schema={"type": "string"},
        codes=OF_ANY_QUERY,
    ),
    Parameter(
        name="Last-Event-ID",
        summary="As `last_event_id`: what browsers send by themselves.",
        example="1732345678901-42",
        schema={"type": "string"},
        place="header",
    ),
)
KNOWN = names_of(PARAMETERS) | {TICKET}

Question = tuple[Parameters, Filter, Recent | None]
"""A query that was read: what is asked for of events, and what of them first."""

_OWN = {LAST_EVENT_ID, TICKET}
"""What is of one client alone: a query that has it isn't remembered."""

MAX_KNOWN_QUERIES = 256
KNOWN_QUERY_CHARACTERS = 512
"""Of a query that is remembered."""


class EventsRoute(Route):
    """Opens streams. Nothing temporary is answered with a status other than 200: see `come_back`."""

    name = "events"
    operations = (
        Operation(
            method="GET",
            summary="A stream of events",
            text="It begins with `connection`, and never ends by itself. Where no stream can be had now, an event source"
            " is told `busy` with status 200, and other programs by a status.",
            parameters=PARAMETERS,
            replies=(
                Reply(
                    summary="The stream.",
                    media_type=EVENT_STREAM,
                    shape=EVENT_SCHEMA,
                    events={**EVENTS, "": Payload},
                ),
                Reply(
                    summary="Nothing comes any more: all topics have ended, and the client has it all. A browser stays away.",
                    status=204,
                ),
            ),
            codes=("full", "patterns", "principal", "address", "restart"),
        ),
    )
    takes_ticket = True

    def __init__(self, hub: Hub, origins: Origins) -> None:
        self._hub = hub
        self._origins = origins
        self._known: dict[str, Question] = {}

    def answer(self, request: Request) -> OpenStream | ClosingStream:
        """The stream that `request` asks for; HEAD gets its head alone.

        Raises:
            InvalidInput: it asks for what can't be.
            Unauthorized, Forbidden: its sender may read nothing of that.
        """
        parameters, filter, recent = self._asked(request)
        principal = request.principal
        if not request.is_internal:
            filter = principal.readable(filter)
        chunked = request.version != "HTTP/1.0"
        of_every_answer = self._origins.headers(request)
        second = int(time.time())
        last_ids = last_event_ids(request, parameters)
        if recent and EARLIEST in last_ids:
            raise not_both(LAST if recent.last else PER_TOPIC, f"{LAST_EVENT_ID}={EARLIEST}")
        if request.method == "HEAD":
            return ClosingStream(stream_head(False, of_every_answer, second))
        return OpenStream(
            self._hub,
            filter,
            last_ids,
            parameters.last("presence") == "1",
            parameters.ignored,
            chunked,
            of_every_answer,
            second,
            request.is_internal,
            None if principal is EVERYBODY else principal,
            request.peer,
            takes_events(request.headers.get("accept", "")),
            recent,
            request.headers.get("user-agent", ""),
        )

    def _asked(self, request: Request) -> Question:
        """What the query of `request` says; remembered, as the clients of one page ask alike: 15 us a stream.

        Only of parameters that are known, as anything may be said in others: a token has no place in here.

        Raises:
            InvalidInput: it asks for what can't be.
        """
        query = request.query
        if request.is_internal:
            parameters = Parameters.read(request, KNOWN)
            return parameters, Filter(parameters.all("topic")), None
        asked = self._known.get(query)
        if asked is None:
            parameters = Parameters.read(request, KNOWN)
            asked = parameters, parameters.filter, recent_of(parameters)
            is_common = not parameters.ignored and _OWN.isdisjoint(parameters.values)
            if is_common and len(query) <= KNOWN_QUERY_CHARACTERS:
                if len(self._known) >= MAX_KNOWN_QUERIES:
                    self._known.clear()
                self._known[query] = asked
        return asked

    def put_off(self, request: Request, error: Unavailable) -> Answer | ClosingStream:
        """When to come back: for an event source as an event, for a program that is none as a status.

        Who asks isn't known yet, and the hub wasn't asked for a stream. That is what `OpenStream.open` is for.
        """
        if not takes_events(request.headers.get("accept", "")):
            return of_error(error)
        if is_wanted(log, "stream refused"):
            extra = {"reason": error.code, "address": request.peer}
            log.info("stream refused", extra=extra)
        of_every_answer = self._origins.headers(request)
        answer = come_back(error.code, self._hub.retry_ms(3.0), of_every_answer, int(time.time()))
        return ClosingStream(answer.head) if request.method == "HEAD" else answer

    def count_refusal(self, error: Exception) -> None:
        """A stream that was not opened."""
        rejected = self._hub.counters.rejected
        if isinstance(error, Unauthorized | Forbidden):
            rejected["forbidden"] += 1
        elif isinstance(error, InvalidInput):
            rejected["invalid"] += 1
        elif isinstance(error, Unavailable) and error.code in rejected:
            rejected[error.code] += 1


def last_event_ids(request: Request, parameters: Parameters) -> tuple[str, ...]:
    """All that the client says it had last: a browser's header, and what a polyfill adds to the page's own address."""
    header = request.headers.get("last-event-id", "")
    if header:
        # Browsers send UTF-8, and heads are read as latin-1. Whatever it is, it is compared, not trusted.
        header = header.encode("latin-1").decode("utf-8", "replace")
    elif LAST_EVENT_ID not in parameters.values:
        return ()
    given = (header, *parameters.all(LAST_EVENT_ID))
    return tuple(id for id in given if id)
