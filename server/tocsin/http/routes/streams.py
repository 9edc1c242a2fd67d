"""``/api/streams``: for operators, who is connected, and an end for one of them."""

from __future__ import annotations

import asyncio
from bisect import bisect_right

from tocsin.core.numbers import whole_number
from tocsin.http.answer import Answer, of_json, refusal
from tocsin.http.parameters import Parameters
from tocsin.http.request import Request
from tocsin.http.routes.base import Route
from tocsin.hub.hub import Hub
from tocsin.hub.states import State
from tocsin.hub.stream import Stream

KNOWN = frozenset({"after", "limit", "number"})

DEFAULT_LIMIT = 100
MAX_LIMIT = 500
MAX_NUMBER = 10**15
SHOWN_PATTERNS = 20
"""Of each stream's topics and types; `topics` may name 200."""


class StreamsRoute(Route):
    """GET lists open streams by their number, DELETE with `number` ends one. Both ask for the right `admin`."""

    name = "streams"
    methods = ("GET", "HEAD", "DELETE", "OPTIONS")
    is_shared = False

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def answer(self, request: Request) -> Answer:
        """One page of streams, or 204 for the one that was ended.

        Raises:
            Unauthorized, Forbidden: the sender is no operator.
            InvalidInput: a parameter can't be taken.
        """
        request.principal.check_admin()
        parameters = Parameters.read(request, KNOWN)
        if request.method == "DELETE":
            return self._end(parameters)
        limit = whole_number(
            parameters.last("limit", str(DEFAULT_LIMIT)), "limit", least=1, most=MAX_LIMIT
        )
        after = whole_number(parameters.last("after", "0"), "after", least=0, most=MAX_NUMBER)
        streams = self._hub.streams
        numbers = list(streams)  # in the order they opened, which is that of their numbers
        first = bisect_right(numbers, after)
        page = numbers[first : first + limit]
        return of_json(
            {
                "streams": [self._shown(streams[number]) for number in page],
                "clients": len(numbers),
                "next": page[-1] if first + limit < len(numbers) else None,
            }
        )

    def _end(self, parameters: Parameters) -> Answer:
        number = whole_number(parameters.last("number"), "number", least=1, most=MAX_NUMBER)
        stream = self._hub.streams.get(number)
        if stream is None:
            return refusal(404, f"no stream has the number {number}", "not_found", field="number")
        self._hub.end_stream(stream, "operator")
        return Answer(204, content_type="")

    def _shown(self, stream: Stream) -> dict[str, object]:
        filter = stream.group.filter
        return {
            "number": stream.number,
            "address": stream.address,
            "principal": stream.reader.name if stream.reader else None,
            "topics": sorted(filter.patterns)[:SHOWN_PATTERNS] or ["*"],
            "types": sorted(filter.types)[:SHOWN_PATTERNS],
            "state": stream.state.name.lower(),
            # A live one has all that is for it, whatever its cursor says: that moves with its own events alone.
            "lag": 0 if stream.state is State.LIVE else self._hub.ring.head - stream.cursor,
            "age": round(asyncio.get_running_loop().time() - stream.opened_at, 3),
        }
