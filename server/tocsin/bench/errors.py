"""What makes a measurement impossible, as opposed to slow."""

from __future__ import annotations


class BenchError(Exception):
    """The load can't be put on, or got stuck; the message says at which number."""
