"""How long, and how much, both lanes bear with a client."""

from __future__ import annotations

BEGINNING_BYTES = 64
"""What a route sees of a body before it is read on: a batch shows itself by its first character."""

HEAD_S = 10.0
"""How long a head may take to come in, and a body before its least rate counts."""

LEAST_RATE = 8 * 1024
"""Bytes a second that a body comes in with, and an answer is taken with, at least: a twentieth of a slow phone's."""

STALLED_S = 10.0
"""How long an answer may lie there before its least rate counts."""

LEAVING_S = 2.0
LEAVING_BYTES = 1024 * 1024
"""What is read and thrown away behind a last answer, so that its reader isn't reset before it has read it
(RFC 9112, section 9.6)."""


def body_time_s(read_bytes: int) -> float:
    """How long a request may take of which so many bytes were read."""
    return HEAD_S + read_bytes / LEAST_RATE


def answer_time_s(taken_bytes: int) -> float:
    """How long an answer may take of which its reader has taken so many bytes.

    Without a least rate some dozens of readers that take a byte now and then would hold all that answers may hold.
    """
    return STALLED_S + taken_bytes / LEAST_RATE
