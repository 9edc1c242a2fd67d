"""What goes out: an answer, or a stream. Values only; a lane sends them."""

from __future__ import annotations

from typing import Any

import msgspec

from tocsin.errors import InvalidInput, RateLimited, Unauthorized, Unavailable
from tocsin.http.request import JSON

FAILED = "the hub failed; its log says why"
"""What a client is told of a bug."""

Pairs = tuple[tuple[str, str], ...]

_encode = msgspec.json.Encoder().encode


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A whole answer.

    Attributes:
        status: the HTTP status.
        body: the bytes of the body; they aren't sent where the request was HEAD.
        content_type: of the body; empty where there is none.
        headers: what this answer says beside the headers of every answer; these win.
        closes: whether the connection ends behind it.
    """

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Pairs = ()
    closes: bool = False

    def fields(self, of_every_answer: Pairs) -> dict[str, str]:
        """All header fields but the length, the date and what the connection is about."""
        fields = dict(of_every_answer)
        if self.content_type:
            fields["Content-Type"] = self.content_type
        for name, value in self.headers:
            # Vary is a list, and what it names adds up; of the others the answer's own word counts.
            both = name == "Vary" and name in fields
            fields[name] = f"{fields[name]}, {value}" if both else value
        return fields


class ClosingStream(msgspec.Struct, frozen=True, gc=False):
    """An event stream that ends at once: a head, a body that the end of the connection delimits."""

    head: bytes
    body: bytes = b""


def of_json(value: object, status: int = 200, headers: Pairs = ()) -> Answer:
    """`value` as JSON."""
    return Answer(status, _encode(value), headers=headers)


def refusal(
    status: int,
    message: str,
    code: str,
    *,
    field: str | None = None,
    headers: Pairs = (),
    **more: object,
) -> Answer:
    """An error: ``{"error": text for people, "code": word for machines, "field": name?, ...}``."""
    error: dict[str, Any] = {"error": message, "code": code, **more}
    if field:
        error["field"] = field
    return of_json(error, status, headers)


def of_error(error: Exception) -> Answer:
    """What a client is told of `error`; of a bug it never learns what it said."""
    if isinstance(error, RateLimited):
        later = (("Retry-After", str(error.retry_after_s)),)
        return refusal(429, error.message, error.code, headers=later, limit=error.limit)
    if isinstance(error, InvalidInput):
        more: dict[str, Any] = {} if error.index is None else {"index": error.index}
        headers = challenge(error.is_given) if isinstance(error, Unauthorized) else ()
        return refusal(
            error.status, error.message, error.code, field=error.field, headers=headers, **more
        )
    if isinstance(error, Unavailable):
        later = (("Retry-After", str(error.retry_after_s)),)
        return refusal(error.status, error.message, error.code, headers=later)
    return refusal(500, FAILED, "internal")


def challenge(is_given: bool) -> Pairs:
    """What 401 asks for (RFC 6750, section 3), to who gave credentials that are no good, or none."""
    error = ', error="invalid_token"' if is_given else ""
    return (("Www-Authenticate", f'Bearer realm="tocsin"{error}'),)
