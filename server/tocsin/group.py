"""A group: the streams with equal filters and equal framing. They get the same bytes, joined once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from tocsin.filters import Filter
from tocsin.ring import Entry
from tocsin.tally import Tally
from tocsin.wire import chunk

PIECE_BYTES = 64 * 1024
"""Where a piece ends: what one stream may have pending in user space."""

Member = TypeVar("Member")


class Piece(msgspec.Struct, frozen=True, gc=False):
    """Bytes for a socket, framed; the cursor they lead to; how many events they hold."""

    payload: bytes
    cursor: int
    events: int


class Group(Generic[Member]):
    """What streams of one filter share.

    `live` are those the fan-out sends to; `size` counts the lagging ones too. `matched` counts the
    events that were for this group since it was made. `pending` is what was appended for it since its
    last pass; every live stream has all that came before, so its cursor is at `cursor` or, where it
    joined since, beyond. What its streams get is counted in `tally`.
    """

    __slots__ = ("chunked", "cursor", "filter", "live", "matched", "pending", "size", "tally")

    def __init__(self, filter: Filter, chunked: bool, cursor: int, tally: Tally) -> None:
        self.tally = tally
        self.filter = filter
        self.chunked = chunked
        self.cursor = cursor
        self.live: dict[Member, None] = {}
        self.size = 0
        self.matched = 0
        self.pending: list[Entry] = []

    def piece(self, entries: Sequence[Entry], cursor: int) -> Piece:
        """`entries` as one framed piece that leads to `cursor`."""
        payload = b"".join([entry.block for entry in entries])
        return Piece(self.framed(payload), cursor, len(entries))

    def framed(self, payload: bytes) -> bytes:
        """`payload` as the body of these streams carries it."""
        return chunk(payload) if self.chunked and payload else payload

    def take_pending(self, head: int) -> Batch:
        """What is pending, as a batch; the group is up to date with `head` when it is sent."""
        batch = Batch(self, self.pending, head)
        self.pending = []
        self.cursor = head
        return batch

    def __repr__(self) -> str:
        return (
            f"Group({self.filter!r}, size={self.size}, live={len(self.live)}, cursor={self.cursor})"
        )


class Batch:
    """What one pass sends to one group."""

    def __init__(self, group: Group[Any], entries: Sequence[Entry], head: int) -> None:
        self.entries = entries
        self._group = group
        self._head = head
        self._by_cursor: dict[int, list[Piece]] = {}

    def pieces(self) -> list[Piece]:
        """All of it, in bounded pieces; the last one leads to the head."""
        return self._cut(self.entries)

    def after(self, cursor: int) -> list[Piece]:
        """What a stream at `cursor` doesn't have yet: it joined between two passes."""
        if cursor >= self._head:
            return []
        if cursor not in self._by_cursor:
            self._by_cursor[cursor] = self._cut([e for e in self.entries if e.seq > cursor])
        return self._by_cursor[cursor]

    def _cut(self, entries: Sequence[Entry]) -> list[Piece]:
        pieces: list[Piece] = []
        held: list[Entry] = []
        size = 0
        for entry in entries:
            held.append(entry)
            size += len(entry.block)
            if size >= PIECE_BYTES:
                pieces.append(self._group.piece(held, entry.seq))
                held, size = [], 0
        pieces.append(self._group.piece(held, self._head))
        return pieces
