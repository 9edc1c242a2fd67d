"""``/api/streams``: for operators, who is connected, and an end for one of them."""

from __future__ import annotations

import asyncio
import heapq
from bisect import bisect_right

import msgspec

from tocsin.errors import InvalidInput
from tocsin.http.answer import Answer, of_json, refusal
from tocsin.http.operation import Operation, Parameter, Reply
from tocsin.http.parameters import Parameters, WholeNumber, names_of, not_both
from tocsin.http.request import Request
from tocsin.http.routes.base import Route
from tocsin.hub.hub import Hub
from tocsin.hub.states import State
from tocsin.hub.stream import Stream

MAX_NUMBER = 10**15
SHOWN_PATTERNS = 20
"""Of each stream's topics and types; `topics` may name 200."""

AFTER = WholeNumber.of(
    "after", "The number behind which the page begins.", "0", least=0, most=MAX_NUMBER, default=0
)
LIMIT = WholeNumber.of("limit", "Streams a page.", "10", least=1, most=500, default=100)
NUMBER = msgspec.structs.replace(
    WholeNumber.of("number", "That of the stream.", "1", least=1, most=MAX_NUMBER),
    is_required=True,
)
SORT = Parameter(
    name="sort",
    summary="`lag`: those that are behind, the furthest first, in one page.",
    example="lag",
    schema={"enum": ["lag"]},
    codes=("invalid_sort", "conflicting_parameters"),
)
KNOWN = names_of([AFTER, LIMIT, NUMBER, SORT])


class ShownStream(msgspec.Struct):
    """An open stream.

    Attributes:
        number: the client's, as its `connection` says.
        address: where it comes from; empty where it has no address.
        principal: who reads it; null where nobody said who they are.
        topics: patterns that it asked for, the first of them.
        types: event types that it asked for, the first of them.
        state: in a word.
        lag: events between what it has and the newest.
        age: in seconds.
    """

    number: int
    address: str
    principal: str | None
    topics: list[str]
    types: list[str]
    state: str
    lag: int
    age: float


class StreamsPage(msgspec.Struct):
    """Open streams, in the order they opened.

    Attributes:
        streams: of this page.
        clients: how many are open.
        next: the number to pass as `after` for the next page; null where there is none.
    """

    streams: list[ShownStream]
    clients: int
    next: int | None


class StreamsRoute(Route):
    """GET lists open streams by their number or by how far they are behind, DELETE with `number` ends one.

    Both ask for the right `admin`.
    """

    name = "streams"
    operations = (
        Operation(
            method="GET",
            summary="Who is connected",
            parameters=(AFTER, LIMIT, SORT),
            replies=(Reply(summary="A page of them.", shape=StreamsPage),),
            needs="admin",
        ),
        Operation(
            method="DELETE",
            summary="End a stream",
            text="Its client is told `busy` with the reason `operator`, and comes back as clients do.",
            parameters=(NUMBER,),
            replies=(Reply(summary="It was ended.", status=204),),
            codes=("not_found",),
            needs="admin",
        ),
    )
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
        limit = LIMIT.read(parameters)
        streams = self._hub.streams
        if "sort" in parameters.values:
            return self._furthest_behind(parameters, limit)
        after = AFTER.read(parameters)
        numbers = list(streams)  # in the order they opened, which is that of their numbers
        first = bisect_right(numbers, after)
        page = numbers[first : first + limit]
        shown = [self._shown(streams[number]) for number in page]
        is_last = first + limit >= len(numbers)
        return of_json(StreamsPage(shown, len(numbers), None if is_last else page[-1]))

    def _furthest_behind(self, parameters: Parameters, limit: int) -> Answer:
        """The streams that lag, those first that are furthest behind; the others have a lag of 0."""
        if parameters.last("sort") != "lag":
            message = "sort must be lag: without it streams come by their number"
            raise InvalidInput(message, code="invalid_sort", field="sort", status=400)
        if "after" in parameters.values:
            raise not_both("sort", "after")
        slowest = heapq.nsmallest(limit, self._hub.lagging, key=lambda stream: stream.taken_cursor)
        shown = [self._shown(stream) for stream in slowest]
        return of_json(StreamsPage(shown, len(self._hub.streams), None))

    def _end(self, parameters: Parameters) -> Answer:
        number = NUMBER.read(parameters)
        stream = self._hub.streams.get(number)
        if stream is None:
            return refusal(404, f"no stream has the number {number}", "not_found", field="number")
        self._hub.end_stream(stream, "operator")
        return Answer(204, content_type="")

    def _shown(self, stream: Stream) -> ShownStream:
        filter = stream.group.filter
        return ShownStream(
            number=stream.number,
            address=stream.address,
            principal=stream.reader.name if stream.reader else None,
            topics=sorted(filter.patterns)[:SHOWN_PATTERNS] or ["*"],
            types=sorted(filter.types)[:SHOWN_PATTERNS],
            state=stream.state.name.lower(),
            # A live one has all that is for it, whatever its cursor says: that moves with its own events alone.
            lag=0 if stream.state is State.LIVE else self._hub.ring.head - stream.taken_cursor,
            age=round(asyncio.get_running_loop().time() - stream.opened_at, 3),
        )
