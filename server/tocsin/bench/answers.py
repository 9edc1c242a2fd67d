"""HTTP/1.1 answers, as far as a load generator needs them: status, and where the next one begins.

Knows no socket.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_HEAD = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_END_OF_HEAD = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_NO_BODY = (204, 304)


class Answer(NamedTuple):
    """One answer at the beginning of what was read."""

    status: int
    size: int
    """Bytes of head and body together."""
    closes: bool
    """Whether the server closes the connection behind it."""


class _Head(NamedTuple):
    status: int
    body_size: int | None
    """None where the body is chunked."""
    closes: bool


def stream_status(data: bytes) -> int | None:
    """The status of an answer whose body never ends; None while its head isn't complete.

    Raises:
        ValueError: it isn't HTTP.
    """
    end = _end_of_head(data)
    return _status(data) if end else None


def first_answer(data: bytes) -> Answer | None:
    """The answer that `data` begins with; None while it isn't complete.

    A chunked body is taken to end at the first thing that looks like its end: what a publisher is
    answered is short JSON or text.

    Raises:
        ValueError: it isn't HTTP, or the body has no stated end.
    """
    end = _end_of_head(data)
    if not end:
        return None
    status, body_size, closes = _parse(data[:end])
    if body_size is None:
        last = data.find(_LAST_CHUNK, end)
        size = last + len(_LAST_CHUNK) if last >= 0 else len(data) + 1
    else:
        size = end + body_size
    return Answer(status, size, closes) if size <= len(data) else None


def _end_of_head(data: bytes) -> int:
    """Where the body begins; 0 while the head isn't complete."""
    if data[:7] != b"HTTP/1."[: len(data)]:
        raise ValueError(f"not an HTTP answer: {data[:40]!r}")
    return data.find(_END_OF_HEAD) + len(_END_OF_HEAD) if _END_OF_HEAD in data else 0


def _status(head: bytes) -> int:
    line = _HEAD.match(head)
    if line is None:
        raise ValueError(f"not an HTTP answer: {head[:40]!r}")
    return int(line[1])


@lru_cache(maxsize=256)
def _parse(head: bytes) -> _Head:
    """Cached: a server's heads differ by their date, once a second, and by a length now and then."""
    status = _status(head)
    closes = _CLOSE.search(head) is not None
    length = _LENGTH.search(head)
    if status in _NO_BODY:
        return _Head(status, 0, closes)
    if length:
        return _Head(status, int(length[1]), closes)
    if _CHUNKED.search(head):
        return _Head(status, None, closes)
    raise ValueError(f"an answer without a stated end: {head!r}")
