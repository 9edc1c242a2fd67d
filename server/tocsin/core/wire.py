"""The bytes of ``text/event-stream``: the only place that frames anything.

The form is the one that eleven client libraries and two browsers read alike (WHATWG HTML, server-sent
events, section 9.2.5): LF only, fields in the order `event`, `data`, `id`, a block with an `id` always
has data. `id` comes last because some clients take it when the line is read, not when the event is
dispatched: cut off before the data, they would resume behind an event they never saw.
"""

from __future__ import annotations

import random
import re

HEARTBEAT = b":\n"
"""A comment without a blank line. With one, two common clients dispatch an empty event."""

LAST_CHUNK = b"0\r\n\r\n"
"""The end of a chunked body (RFC 9112, section 7.1)."""

MIN_RETRY_MS = 1_000  # Chromium obeys `retry: 1` to the letter: 13 connections in 40 ms
MAX_RETRY_MS = 60_000

LF, CR = b"\n\r"
"""As numbers: `in` finds a number in bytes ten times as fast as a string of length 1."""

_LINE_BREAK = re.compile(rb"\r\n|\r|\n")


def encode_event(type: str, data: bytes, id: str | None = None) -> bytes:
    """One block: exactly one event in any conforming client, whatever `data` (UTF-8) holds.

    `type` and `id` must be checked before (they may hold no line break); `id` None writes none, and
    leaves the client's last event ID as it was.
    """
    if LF in data or CR in data:
        data = b"\ndata: ".join(_LINE_BREAK.split(data))
    if id is None:
        return b"event: %b\ndata: %b\n\n" % (type.encode(), data)
    return b"event: %b\ndata: %b\nid: %b\n\n" % (type.encode(), data, id.encode())


LONGEST_ID = "9" * 15 + "-" + "9" * 15
FRAME_BYTES = len(encode_event("", b"", LONGEST_ID))
"""What a block adds at most to its type and its data, where that is one line."""


def encode_retry(milliseconds: int) -> bytes:
    """The reconnection time as a line of its own, in force as soon as it is read.

    No blank line follows: it would close a block without data, a phantom event in some clients.
    """
    return b"retry: %d\n" % milliseconds


def jittered_retry_ms(base_ms: int, spread: float) -> int:
    """A reconnection time drawn evenly from `base_ms` to `base_ms * spread`, within the bounds.

    Clients that lose one hub at one moment must not come back at one moment.
    """
    drawn = int(random.uniform(base_ms, base_ms * spread))
    return min(max(drawn, MIN_RETRY_MS), MAX_RETRY_MS)


def chunk(payload: bytes) -> bytes:
    """`payload`, which is not empty, as one HTTP/1.1 chunk (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)
