"""What a route is."""

from __future__ import annotations

from tocsin.errors import Unavailable
from tocsin.http.answer import Answer, ClosingStream, of_error, refusal
from tocsin.http.later import Later
from tocsin.http.open_stream import OpenStream
from tocsin.http.operation import Operation, methods_of
from tocsin.http.request import Request

IGNORED_BODY_BYTES = 64 * 1024
"""A body where none is asked for is read and ignored up to here."""

Result = Answer | ClosingStream | OpenStream


class Route:
    """The meaning of one path.

    Attributes:
        name: in the access log and the metrics.
        operations: what it takes and answers, one for each method. A route is described, or it takes no method at all.
        methods: those of `operations`; HEAD goes with GET, and OPTIONS is answered for it.
        takes_any_method: whether `answer` sees to the method itself.
        is_limited: whether what a client may ask of it has limits by principal and address.
        is_shared: whether pages of other origins may be granted it; those of operators never are.
        takes_ticket: whether a ticket in the query is good for it.
    """

    name = ""
    takes_any_method = False
    is_limited = False
    is_shared = True
    takes_ticket = False
    operations: tuple[Operation, ...] = ()
    methods: tuple[str, ...] = ("OPTIONS",)

    def __init_subclass__(cls) -> None:
        cls.methods = methods_of(cls.operations)

    def is_open_to(self, request: Request) -> bool:
        """Whether `request` is answered whoever sent it, and its credentials aren't looked at."""
        return False

    def check_rights(self, request: Request) -> None:
        """Judge what can be judged of the sender's rights without the body, and before it.

        Raises:
            Unauthorized, Forbidden: it has none of those that are needed here.
        """

    def refuse(self, request: Request, body_bytes: int, beginning: bytes) -> Answer | None:
        """Why a body isn't read (on); None where it is.

        Called with the head alone, and again as the body comes in.

        Args:
            request: without its body.
            body_bytes: how long the body is at least: as announced, or as read if that is more.
            beginning: the first bytes of the body; empty where none came yet.
        """
        if body_bytes <= IGNORED_BODY_BYTES:
            return None
        return too_large("the body is larger than what is read here", IGNORED_BODY_BYTES)

    def answer(self, request: Request) -> Result | Later:
        """What `request` is answered, now or when something has been waited for.

        Where the request came in whole, `refuse` was not asked.

        Raises:
            InvalidInput: it can't be taken.
            Unavailable: the hub can't do it now.
        """
        raise NotImplementedError

    def put_off(self, request: Request, error: Unavailable) -> Result:
        """What `request`, which came in whole, is answered where the hub can't do it now, for whatever reason."""
        return of_error(error)

    def count_refusal(self, error: Exception) -> None:
        """`answer` raised `error`, an `InvalidInput` or an `Unavailable`."""


def too_large(message: str, limit: int) -> Answer:
    """413; the connection ends, as the rest of the body isn't read."""
    return closing(refusal(413, f"{message}, {limit} bytes", "too_large", limit=limit))


def closing(answer: Answer) -> Answer:
    """`answer`, with the end of the connection behind it."""
    return Answer(answer.status, answer.body, answer.content_type, answer.headers, closes=True)


class OpenRoute(Route):
    """A route that everybody is answered by, whatever the rights: health and the page's files."""

    def is_open_to(self, request: Request) -> bool:
        """Always."""
        return True


class NotFound(OpenRoute):
    """Every path without a route, whatever the method."""

    name = "notfound"
    takes_any_method = True

    def answer(self, request: Request) -> Answer:
        """404."""
        return refusal(404, "there is nothing at this path", "not_found")
