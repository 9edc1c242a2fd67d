"""How long, and how much, both lanes bear with a client."""

from __future__ import annotations

BEGINNING_BYTES = 64
"""What a route sees of a body before it is read on: a batch shows itself by its first character."""

HEAD_S = 10.0
"""How long a head may take to come in, and a body before its least rate counts."""

LEAST_BODY_RATE = 8 * 1024
"""Bytes a second that a body comes in with at least: a twentieth of what a slow phone sends."""

STALLED_S = 10.0
"""How long an answer may lie there without a byte of it taken."""

LEAVING_S = 2.0
LEAVING_BYTES = 1024 * 1024
"""What is read and thrown away behind a last answer, so that its reader isn't reset before it has read it
(RFC 9112, section 9.6)."""


def body_time_s(read_bytes: int) -> float:
    """How long a request may take of which so many bytes were read."""
    return HEAD_S + read_bytes / LEAST_BODY_RATE
