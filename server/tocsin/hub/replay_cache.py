"""Joined pieces of replays, shared by the streams that return to the same place at the same time."""

from __future__ import annotations

from typing import Any

from tocsin.eventlog.ring import RingBuffer
from tocsin.hub.group import PIECE_BYTES, Group, Piece

MAX_BYTES = 8 * 1024 * 1024
"""Of the pieces kept: a storm of clients that all return to different places must not fill the memory."""


class ReplayCache:
    """The pieces joined since the last `clear`, by the group and the cursor they begin at.

    A piece stays right when the log goes on: it leads to the cursor where the next one begins.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._pieces: dict[tuple[int, Group[Any]], Piece] = {}

    def piece(self, ring: RingBuffer, group: Group[Any], cursor: int) -> Piece:
        """What comes next for a stream of `group` at `cursor`, which is behind the head of `ring`."""
        known = self._pieces.get((cursor, group))
        if known is not None:
            return known
        reading = ring.read(cursor, group.filter, max_bytes=PIECE_BYTES)
        piece = group.piece(reading.entries, reading.cursor)
        self._keep((cursor, group), piece)
        return piece

    def clear(self) -> None:
        """Let go of all pieces; once a second, or a storm's would stay until the next one."""
        self._pieces.clear()
        self.bytes = 0

    def _keep(self, key: tuple[int, Group[Any]], piece: Piece) -> None:
        self._pieces[key] = piece
        self.bytes += len(piece.payload)
        while self.bytes > MAX_BYTES:
            oldest = next(iter(self._pieces))
            self.bytes -= len(self._pieces.pop(oldest).payload)
