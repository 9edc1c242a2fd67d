"""HTTP/1.1 in bytes, for the fast lane: heads of plain requests, and answers. No socket is known here.

`read_head` takes what nearly all clients send, and only that. What is odd (obsolete line folding, bare line feeds,
a transfer coding, `Expect`, an upgrade, two lengths that differ, anything malformed) is None: Tornado has a parser
for it, and one reader of odd input is enough (request smuggling lives where two differ).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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

# RFC 9112, sections 3 and 5; RFC 9110, sections 5.5 and 5.6.2. No expression here can backtrack: each part ends at
# a character that the part before it can't hold.
_START = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) "
    rb"(?:http://[A-Za-z0-9.:\[\]_-]+)?(/[!\"$-~]*) (HTTP/1\.[01])",
)
_FIELDS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*")
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]+")

_ODD = frozenset({"transfer-encoding", "expect", "upgrade"})
_PERSISTENCE = {"": True, "keep-alive": True, "close": False}


class Head(msgspec.Struct, frozen=True, gc=False):
    """The head of a plain request, and what it says of the body and of the connection.

    `keeps_alive` is False with HTTP/1.0: it would have to be asked for, and granted.
    """

    method: str
    path: str
    query: str
    version: str
    headers: dict[str, str]
    media_type: str
    body_bytes: int
    keeps_alive: bool

    @property
    def has_credentials(self) -> bool:
        """Whether it says who sent it: such a head must not be kept."""
        return "authorization" in self.headers or "cookie" in self.headers


def read_head(head: bytes) -> Head | None:
    """The parts of `head`, which ends before the blank line; None where it isn't plain."""
    first, _, fields = head.partition(b"\r\n")
    start = _START.fullmatch(first)
    fields = fields and fields + b"\r\n"
    if start is None or _FIELDS.fullmatch(fields) is None:
        return None
    lines = [line.partition(":") for line in fields.decode("latin-1").split("\r\n")[:-1]]
    headers = joined((name, value.strip(" \t")) for name, _, value in lines)
    version = start[3].decode()
    keeps_alive = _PERSISTENCE.get(headers.get("connection", "").lower())
    body_bytes = _body_bytes(headers, start[1] == b"POST")
    if body_bytes is None or keeps_alive is None or not _ODD.isdisjoint(headers):
        return None
    if not _HOST.fullmatch(headers.get("host", "" if version == "HTTP/1.1" else "-")):
        return None
    path, _, query = start[2].decode().partition("?")
    return Head(
        start[1].decode(),
        path,
        query,
        version,
        headers,
        media_type(headers.get("content-type", "")),
        body_bytes,
        keeps_alive and version == "HTTP/1.1",
    )


def _body_bytes(headers: dict[str, str], is_post: bool) -> int | None:
    """The length of the body (RFC 9112, section 6.3); None where it isn't plain."""
    text = headers.get("content-length", "" if is_post else "0")
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_LENGTH_DIGITS):
        return None
    return int(text)


def encode_answer(
    answer: Answer, of_every_answer: Pairs, second: int, is_head: bool, keeps_alive: bool
) -> bytes:
    """`answer` as it is sent.

    Args:
        answer: what is said.
        of_every_answer: the header fields that all answers have.
        second: the Unix time, for `Date`.
        is_head: the request was HEAD: the length is said, and the body isn't sent.
        keeps_alive: whether the connection takes another request behind it.
    """
    head = _encode_head(answer.status, answer.content_type, answer.headers, of_every_answer, second)
    last = b"\r\n" if keeps_alive else b"Connection: close\r\n\r\n"
    if answer.status in (204, 304):  # no body, and no length (RFC 9110, section 8.6)
        return head + last
    body = b"" if is_head else answer.body
    return b"%bContent-Length: %d\r\n%b%b" % (head, len(answer.body), last, body)


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
