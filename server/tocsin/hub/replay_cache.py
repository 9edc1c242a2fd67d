"""Joined pieces of replays, shared by the streams that return to the same place at the same time."""

from __future__ import annotations

from typing import Any

from tocsin.eventlog.recent import Selection
from tocsin.eventlog.ring import RingBuffer
from tocsin.hub.group import PIECE_BYTES, Group, Piece, times_of

MAX_BYTES = 8 * 1024 * 1024
"""Of the pieces kept: a storm of clients that all return to different places must not fill the memory."""


class ReplayCache:
    """The pieces joined since the last `clear`, by the group and the cursor they begin at, and by what was selected.

    A piece stays right when the log goes on: it leads to the cursor where the next one begins.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._pieces: dict[tuple[int, Group[Any], Selection | None], Piece] = {}

    def known(
        self, group: Group[Any], cursor: int, selection: Selection | None = None
    ) -> Piece | None:
        """What comes next for a stream of `group` at `cursor`, where somebody has asked for it before.

        Of `selection` alone, where there is one.
        """
        return self._pieces.get((cursor, group, selection))

    def piece(self, ring: RingBuffer, group: Group[Any], cursor: int) -> Piece:
        """The same, read from `ring` if need be: it has lost nothing after `cursor`, which is behind its head."""
        known = self._pieces.get((cursor, group, None))
        if known is not None:
            return known
        reading = ring.read(cursor, group.filter, max_bytes=PIECE_BYTES)
        piece = group.piece(reading.entries, reading.cursor, times_of(reading.entries))
        self.keep(group, cursor, piece)
        return piece

    def keep(
        self, group: Group[Any], cursor: int, piece: Piece, selection: Selection | None = None
    ) -> None:
        """Keep `piece`, which begins at `cursor`, and let the oldest go where these are too many bytes."""
        before = self._pieces.get((cursor, group, selection))
        self._pieces[cursor, group, selection] = piece
        self.bytes += len(piece.payload) - (len(before.payload) if before else 0)
        while self.bytes > MAX_BYTES:
            oldest = next(iter(self._pieces))
            self.bytes -= len(self._pieces.pop(oldest).payload)

    def clear(self) -> None:
        """Let go of all pieces; once a second, or a storm's would stay until the next one."""
        self._pieces.clear()
        self.bytes = 0
