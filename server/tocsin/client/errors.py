"""What can go wrong with a request to a hub, by what the caller must do next."""

from __future__ import annotations


class ClientError(Exception):
    """Anything below. Its text is one line, and holds no token."""


class Unreachable(ClientError):
    """No connection was made, or none that could be trusted: nothing was sent."""


class Refused(ClientError):
    """The hub, or what is in front of it, said no: the same request will be refused again.

    Attributes:
        status: the HTTP status.
        code: the hub's word for it, such as ``missing_field``; empty where it was not the hub.
        field: what is at fault; empty where nothing is named.
        index: which event of a batch, from 0; None where none is named.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "",
        field: str = "",
        index: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field
        self.index = index


class Unauthorized(Refused):
    """401 or 403: there is no token, it counts no more, or it has no right to this."""


class Unavailable(ClientError):
    """The hub could not do it now, for as long as was waited. Nothing was published."""

    def __init__(self, message: str, *, status: int, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class UnknownOutcome(ClientError):
    """Nobody knows whether it was published: the answer was lost, and so were those of all further attempts.

    Attributes:
        key: the idempotency key. The same content sent again with it is published once; empty is none.
    """

    def __init__(self, message: str, *, key: str) -> None:
        super().__init__(message)
        self.key = key


class NotAnEventStream(ClientError):
    """The answer was 200, but no event stream that can be read."""


class EventTooLarge(ClientError):
    """An event, or a line, is larger than this client takes. Going on from the same place would meet it again."""
