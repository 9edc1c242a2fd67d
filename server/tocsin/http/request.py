"""What came in: a request, whichever lane read it. No socket is known here."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import parse_qsl

import msgspec

from tocsin.access.principal import NOBODY, Principal
from tocsin.errors import InvalidInput

MAX_PARAMETERS = 1_000
"""Fields of one query string: ten times what a stream may name."""

LAST_LINE_COUNTS = frozenset({"last-event-id", "content-type", "origin"})
"""Headers that hold one value. Where a client sends two lines, the last one counts: joined by a comma, as other
headers are (RFC 9110, section 5.3), they would be a value that nobody sent."""

JSON = "application/json"
NDJSON = "application/x-ndjson"
CLOUD_EVENT = "application/cloudevents+json"
MEDIA_TYPES = (JSON, NDJSON, CLOUD_EVENT)
"""What a browser doesn't send to another origin without asking first."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request; made anew for each, so that nothing of one client reaches another.

    Attributes:
        method: in capitals, as sent.
        path: without the query, percent-encoding as sent.
        query: what stood behind the first `?`, as sent.
        headers: by name in lower case; what `joined` made of the lines.
        body: whole.
        peer: the client's address, empty where it has none: that of the other end, or what trusted proxies say.
        media_type: one of `MEDIA_TYPES`, which the body is said to be; empty where it is anything else.
        version: `HTTP/1.1` or `HTTP/1.0`.
        is_internal: whether the hub itself sent it, over a connection of its own.
        principal: who sent it; nobody, until the edge knows.
        received: Unix time at which the system had its last bytes, where that was long ago; else 0.
        digest: of the token in its header `authorization`, where its connection knows it from the request before.
    """

    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = {}
    body: bytes = b""
    peer: str = ""
    media_type: str = ""
    version: str = "HTTP/1.1"
    is_internal: bool = False
    principal: Principal = NOBODY
    received: float = 0.0
    digest: bytes = b""

    @property
    def announced_bytes(self) -> int:
        """Content-Length, or 0 where there is none (the lane refuses one that is no number)."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0

    def outline(self) -> Request:
        """What of it is needed to answer it when it is known how: to let go of the rest while it waits."""
        origin = self.headers.get("origin")
        return Request(
            self.method,
            self.path,
            headers={} if origin is None else {"origin": origin},
            peer=self.peer,
            version=self.version,
            is_internal=self.is_internal,
            principal=self.principal,
        )

    def parameters(self) -> dict[str, list[str]]:
        """The fields of the query by name, in the order they were sent, values stripped.

        Raises:
            InvalidInput: it isn't UTF-8, or has more than `MAX_PARAMETERS` fields.
        """
        try:
            pairs = parse_qsl(
                self.query, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
            )
        except UnicodeDecodeError:
            raise _bad_query("the query is not UTF-8") from None
        except ValueError:
            raise _bad_query(f"the query has more than {MAX_PARAMETERS} fields") from None
        found: dict[str, list[str]] = {}
        for name, value in pairs:
            found.setdefault(name, []).append(value.strip())
        return found


def joined(lines: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Header lines as a table: names in lower case, values of one name joined by a comma."""
    table: dict[str, str] = {}
    repeated: dict[
        str, list[str]
    ] = {}  # joined at the end: a head may have 200,000 lines of one name
    for name, value in lines:
        name = name.lower()
        if name in table and name not in LAST_LINE_COUNTS:
            repeated.setdefault(name, [table[name]]).append(value)
        else:
            table[name] = value
    for name, values in repeated.items():
        table[name] = ", ".join(values)
    return table


@lru_cache(maxsize=64)
def media_type(content_type: str) -> str:
    """The one of `MEDIA_TYPES` that a header `Content-Type` names, in UTF-8; or empty."""
    name, *parameters = content_type.lower().split(";")
    charsets = [p.strip() for p in parameters if p.strip().startswith("charset=")]
    is_utf8 = all(c.removeprefix("charset=").strip('"') == "utf-8" for c in charsets)
    return name.strip() if name.strip() in MEDIA_TYPES and is_utf8 else ""


def _bad_query(message: str) -> InvalidInput:
    return InvalidInput(message, code="bad_request", status=400)
