"""A group: the streams with equal filters and equal framing. They get the same bytes, joined once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from tocsin.core.filters import Filter
from tocsin.core.wire import chunk
from tocsin.eventlog.ring import Entry
from tocsin.hub.counters import Counters

PIECE_BYTES = 64 * 1024
"""Where a piece ends: what one stream may have pending in user space."""

Member = TypeVar("Member")


class Piece(msgspec.Struct, frozen=True, gc=False):
    """Bytes for a socket, framed; the cursor they lead to; how many events they hold."""

    payload: bytes
    cursor: int
    events: int


class Mark(msgspec.Struct, frozen=True, gc=False):
    """A cursor, and what was sent on the way to it: running totals of events and bytes.

    Live streams of one group share one mark, so moving a stream on is one store of a pointer, and
    asking whether it has what the others have is asking whether its mark is theirs.
    """

    cursor: int
    events: int = 0
    bytes: int = 0

    def after(self, piece: Piece) -> Mark:
        """The mark of who was here and got `piece`."""
        size = self.bytes + len(piece.payload)
        return Mark(piece.cursor, self.events + piece.events, size)


class Step(NamedTuple):
    """One piece for all streams whose mark is `base`; they are at `mark` then."""

    piece: Piece
    base: Mark
    mark: Mark


class Group(Generic[Member]):
    """What streams of one filter share.

    `live` are those the fan-out sends to, and all of them are at `mark`; `joined` became live while
    something was pending, have some of it already, and are live in full after the next pass; `size`
    counts the lagging ones too. `matched` counts the events that were for this group since it was made.
    `pending` is what was appended for it since its last pass. What its streams get is counted in `counters`.
    """

    __slots__ = (
        "chunked",
        "counters",
        "filter",
        "joined",
        "live",
        "mark",
        "matched",
        "pending",
        "size",
    )

    def __init__(self, filter: Filter, chunked: bool, cursor: int, counters: Counters) -> None:
        self.counters = counters
        self.filter = filter
        self.chunked = chunked
        self.mark = Mark(cursor)
        self.live: dict[Member, None] = {}
        self.joined: dict[Member, None] = {}
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
        """What is pending, as a batch; the group's mark is where it leads."""
        batch = Batch(self, self.pending, head)
        self.pending = []
        self.mark = batch.steps[-1].mark
        return batch

    def let_in(self, member: Member) -> None:
        """Make `member`, which has all that the live ones have, one of them."""
        self.joined.pop(member, None)
        self.live[member] = None

    def remove(self, member: Member) -> None:
        """Take `member` out of the fan-out."""
        self.live.pop(member, None)
        self.joined.pop(member, None)

    def take_joined(self) -> list[Member]:
        """Those that joined since the last pass."""
        joined = list(self.joined)
        self.joined.clear()
        return joined

    def __repr__(self) -> str:
        return (
            f"Group({self.filter!r}, size={self.size}, live={len(self.live)},"
            f" cursor={self.mark.cursor})"
        )


class Batch:
    """What one pass sends to one group: `steps`, of bounded pieces; the last one leads to the head.

    `times` are those of its events, ascending even where the clock was set back.
    """

    def __init__(self, group: Group[Any], entries: Sequence[Entry], head: int) -> None:
        self.group = group
        self.times = sorted([entry.time for entry in entries])
        self._entries = entries
        self._head = head
        self._by_cursor: dict[int, list[Piece]] = {}
        self.steps: list[Step] = []
        base = group.mark
        for piece in self._cut(entries):
            self.steps.append(Step(piece, base, base.after(piece)))
            base = self.steps[-1].mark

    def after(self, cursor: int) -> list[Piece]:
        """What a stream at `cursor` doesn't have yet: it joined between two passes."""
        if cursor >= self._head:
            return []
        if cursor not in self._by_cursor:
            self._by_cursor[cursor] = self._cut([e for e in self._entries if e.seq > cursor])
        return self._by_cursor[cursor]

    def _cut(self, entries: Sequence[Entry]) -> list[Piece]:
        pieces: list[Piece] = []
        held: list[Entry] = []
        size = 0
        for entry in entries:
            held.append(entry)
            size += len(entry.block)
            if size >= PIECE_BYTES:
                pieces.append(self.group.piece(held, entry.seq))
                held, size = [], 0
        pieces.append(self.group.piece(held, self._head))
        return pieces
