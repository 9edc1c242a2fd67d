"""HTTP/1.1 in bytes, for the fast lane: heads of plain requests, and answers. No socket is known here.

`read_head` takes what nearly all clients send, and only that. What is odd (obsolete line folding, bare line feeds,
a transfer coding, `Expect`, an upgrade, two lengths that differ, anything malformed) is None: Tornado has a parser
for it, and one reader of odd input is enough (request smuggling lives where two differ).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from http.client import responses

import msgspec
from tornado.httputil import format_timestamp

from tocsin.http.answer import Answer, Pairs
from tocsin.http.request import joined, media_type

END_OF_HEAD = b"\r\n\r\n"

METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ", b"OPTIONS ")
"""What a plain request begins with."""

MAX_LENGTH_DIGITS = 15
"""Of Content-Length: a petabyte. More digits are left to Tornado, which refuses what it can't hold."""

MAX_KNOWN_FIELDS = 256
KNOWN_FIELDS_BYTES = 2 * 1024
"""Of one client's fields that are remembered; a browser sends 600 bytes."""

# RFC 9112, sections 3 and 5; RFC 9110, sections 5.5 and 5.6.2. No expression here can backtrack: each part ends at
# a character that the part before it can't hold.
_START = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) "
    rb"(?:http://[A-Za-z0-9.:\[\]_-]+)?(/[!\"$-~]*) (HTTP/1\.[01])",
)
_FIELDS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*")
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]+")

_ODD = frozenset({"transfer-encoding", "expect", "upgrade"})
_CREDENTIALS = frozenset({"authorization", "cookie"})
_OF_ONE = _CREDENTIALS | {"last-event-id", "idempotency-key", "traceparent"}
"""What differs from client to client, or from request to request."""

_OWN = _OF_ONE | {"content-length"}

_PERSISTENCE = {"": True, "keep-alive": True, "close": False}


class Head(msgspec.Struct, frozen=True, gc=False):
    """The head of a plain request, and what it says of the body and of the connection.

    `keeps_alive` is False with HTTP/1.0: it would have to be asked for, and granted. `digest` is of its token, where
    the connection that bore it remembers it.
    """

    method: str
    path: str
    query: str
    version: str
    headers: dict[str, str]
    media_type: str
    body_bytes: int
    keeps_alive: bool
    digest: bytes = b""

    @property
    def is_repeated(self) -> bool:
        """Whether it may come again, word for word. One that says who sent it must not be kept, too."""
        return _OF_ONE.isdisjoint(self.headers) and "ticket" not in self.query


def with_header(head: Head, name: str, value: str) -> Head:
    """`head` with one header field more, which it doesn't have; `name` in lower case."""
    return Head(
        head.method,
        head.path,
        head.query,
        head.version,
        {**head.headers, name: value},
        head.media_type,
        head.body_bytes,
        head.keeps_alive,
    )


def read_head(head: bytes) -> Head | None:
    """The parts of `head`, which ends before the blank line; None where it isn't plain."""
    first, _, lines = head.partition(b"\r\n")
    start = _START.fullmatch(first)
    fields = start and known_fields(lines)
    if not start or not fields:
        return None
    method, target, version = start[1].decode(), start[2].decode(), start[3].decode()
    body_bytes = fields.body_bytes
    if body_bytes is None:
        if method == "POST":
            return None
        body_bytes = 0
    if version == "HTTP/1.1" and "host" not in fields.headers:
        return None
    path, _, query = target.partition("?")
    return Head(
        method,
        path,
        query,
        version,
        fields.headers,
        fields.media_type,
        body_bytes,
        fields.keeps_alive and version == "HTTP/1.1",
    )


class Fields(msgspec.Struct, frozen=True, gc=False):
    """What the header fields of a plain request say, whatever its first line is.

    `body_bytes` is None where they don't say it; `keeps_alive` is of HTTP/1.1.
    """

    headers: dict[str, str]
    media_type: str
    body_bytes: int | None
    keeps_alive: bool


_known_fields: dict[bytes, Fields] = {}


def known_fields(lines: bytes) -> Fields | None:
    """`read_fields`, remembered: clients of one kind send the same fields, whatever they ask for (10 us a stream).

    What says who sent it is never kept: no credentials lie in a table that all connections share.
    """
    known = _known_fields.get(lines)
    if known is None:
        known = read_fields(lines)
        if known and len(lines) <= KNOWN_FIELDS_BYTES and _OWN.isdisjoint(known.headers):
            if len(_known_fields) >= MAX_KNOWN_FIELDS:
                _known_fields.clear()
            _known_fields[lines] = known
    return known


def read_fields(lines: bytes) -> Fields | None:
    """What `lines`, each but the last with its line break, say; None where they aren't plain."""
    lines = lines and lines + b"\r\n"
    if _FIELDS.fullmatch(lines) is None:
        return None
    parts = [line.partition(":") for line in lines.decode("latin-1").split("\r\n")[:-1]]
    headers = joined((name, value.strip(" \t")) for name, _, value in parts)
    keeps_alive = _PERSISTENCE.get(headers.get("connection", "").lower())
    length, host = headers.get("content-length"), headers.get("host")
    if keeps_alive is None or not _ODD.isdisjoint(headers):
        return None
    if host is not None and not _HOST.fullmatch(host):
        return None
    if length is not None and not _is_length(length):
        return None
    body_bytes = None if length is None else int(length)
    return Fields(headers, media_type(headers.get("content-type", "")), body_bytes, keeps_alive)


def _is_length(text: str) -> bool:
    """Whether `text` is the plain length of a body (RFC 9112, section 6.3)."""
    return text.isascii() and text.isdigit() and len(text) <= MAX_LENGTH_DIGITS


Form = tuple[Pairs, bool, bool]
"""What the bytes of an answer depend on beside itself and the second: the last three arguments of `encode_answer`."""


def encode_answer(
    answer: Answer, second: int, of_every_answer: Pairs, is_head: bool, keeps_alive: bool
) -> bytes:
    """`answer` as it is sent.

    Args:
        answer: what is said.
        second: the Unix time, for `Date`.
        of_every_answer: the header fields that all answers have.
        is_head: the request was HEAD: the length is said, and the body isn't sent.
        keeps_alive: whether the connection takes another request behind it.
    """
    head = _encode_head(answer.status, answer.content_type, answer.headers, of_every_answer, second)
    last = b"\r\n" if keeps_alive else b"Connection: close\r\n\r\n"
    if answer.status in (204, 304):  # no body, and no length (RFC 9110, section 8.6)
        return head + last
    body = b"" if is_head else answer.body
    return b"%bContent-Length: %d\r\n%b%b" % (head, len(answer.body), last, body)


def encode_for_each(answer: Answer, second: int, forms: Sequence[Form]) -> list[bytes]:
    """`answer` as it is sent in each of these forms, which are mostly one: it is made once."""
    known: dict[Form, bytes] = {}
    found: list[bytes] = []
    last, data = None, b""
    for form in forms:
        if (
            form != last
        ):  # a look-up, for which the header fields are hashed, costs ten times as much
            last = form
            data = known.get(form) or encode_answer(answer, second, *form)
            known[form] = data
        found.append(data)
    return found


# Cached: within a second most answers differ in their body alone, and a head costs ten times its look-up.
@lru_cache(maxsize=64)
def _encode_head(
    status: int, content_type: str, headers: Pairs, of_every_answer: Pairs, second: int
) -> bytes:
    """The head up to its length."""
    fields = Answer(status, b"", content_type, headers).fields(of_every_answer)
    fields["Date"] = date(second)
    return encode_fields(status, fields)


def encode_fields(status: int, fields: Mapping[str, str]) -> bytes:
    """A status line and header fields, each with its line break."""
    lines = [f"{name}: {value}" for name, value in fields.items()]
    status_line = f"HTTP/1.1 {status} {responses.get(status, 'Unknown')}"
    return "\r\n".join([status_line, *lines, ""]).encode("latin-1")


@lru_cache(maxsize=2)
def date(second: int) -> str:
    """The header `Date` for a Unix time (RFC 9110, section 6.6.1)."""
    return format_timestamp(second)
