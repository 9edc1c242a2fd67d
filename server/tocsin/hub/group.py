"""A group: the streams with equal filters and equal framing. They get the same bytes, joined once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from tocsin.core.filters import Filter
from tocsin.core.wire import chunk
from tocsin.eventlog.entry import Entry
from tocsin.hub.counters import Counters

PIECE_BYTES = 64 * 1024
"""Where a piece ends: what one stream may have pending in user space."""

Member = TypeVar("Member")


class Piece(msgspec.Struct, frozen=True, gc=False):
    """Bytes for a socket, framed; the cursor they lead to; how many events they hold.

    `times` are those from which these are timed, ascending.
    """

    payload: bytes
    cursor: int
    events: int
    times: Sequence[float] = ()


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

    Args:
        filter: what they asked for, in its canonical form.
        chunked: whether their bodies are.
        cursor: the head of the log.
        counters: counts what they are sent.
        unrouted: the events of the log that no group was given yet, in order; the fan-out keeps it.

    Attributes:
        live: the streams that a pass sends to. All of them are at `mark`.
        joining: became live while something was pending, have some of it already, and are live after the
            next pass.
        size: how many streams there are, the lagging ones too.
        matched: how many events the group was given since it was made.
        pending: those of them that came since its last pass.
        may_be_over: whether a topic that it names has ended since then: its streams may have nothing to come.
    """

    __slots__ = (
        "_unrouted",
        "chunked",
        "counters",
        "filter",
        "joining",
        "live",
        "mark",
        "matched",
        "may_be_over",
        "pending",
        "size",
    )

    def __init__(
        self,
        filter: Filter,
        chunked: bool,
        cursor: int,
        counters: Counters,
        unrouted: Collection[Entry] = (),
    ) -> None:
        self.counters = counters
        self.filter = filter
        self.chunked = chunked
        self.mark = Mark(cursor)
        self.live: dict[Member, None] = {}
        self.joining: dict[Member, None] = {}
        self.size = 0
        self.matched = 0
        self.pending: list[Entry] = []
        self.may_be_over = False
        self._unrouted = unrouted

    @property
    def meant(self) -> int:
        """How many events were for this group since it was made, those not given to it yet too."""
        if not self._unrouted:
            return self.matched
        return self.matched + sum([self.is_for(entry) for entry in self._unrouted])

    def is_for(self, entry: Entry) -> bool:
        """Whether `entry`, which was not given to it yet, is for this group."""
        if entry.seq <= self.mark.cursor:  # from before there was the group
            return False
        return self.filter.matches(entry.topic, entry.type, entry.more_topics)

    def piece(self, entries: Sequence[Entry], cursor: int, times: Sequence[float] = ()) -> Piece:
        """`entries` as one framed piece that leads to `cursor`; `times` are theirs, where the piece is to tell them."""
        payload = b"".join([entry.block for entry in entries])
        return Piece(self.framed(payload), cursor, len(entries), times)

    def framed(self, payload: bytes) -> bytes:
        """`payload` as the body of these streams carries it."""
        return chunk(payload) if self.chunked and payload else payload

    def take_pending(self, cursor: int) -> Batch:
        """What is pending, as a batch that leads to `cursor`; the group's mark is where it leads."""
        batch = Batch(self, self.pending, cursor)
        self.pending = []
        if batch.steps:
            self.mark = batch.steps[-1].mark
        return batch

    def __repr__(self) -> str:
        return (
            f"Group({self.filter!r}, size={self.size}, live={len(self.live)},"
            f" cursor={self.mark.cursor})"
        )


def times_of(entries: Sequence[Entry]) -> list[float]:
    """Unix times from which deliveries of `entries` are timed, ascending."""
    times = [entry.received or entry.time for entry in entries]
    # They ascend but for what waited while the loop stood still, and what came in by another process.
    times.sort()
    return times


class Batch:
    """What one pass sends to one group: `steps`, of bounded pieces; the last one leads to `cursor`.

    `times` are those of its events, which ascend.
    """

    def __init__(self, group: Group[Any], entries: Sequence[Entry], cursor: int) -> None:
        self.group = group
        self.times = times_of(entries)
        self._entries = entries
        self._cursor = cursor
        self._by_cursor: dict[int, list[Piece]] = {}
        self.steps: list[Step] = []
        base = group.mark
        for piece in self._cut(entries):
            self.steps.append(Step(piece, base, base.after(piece)))
            base = self.steps[-1].mark

    def after(self, cursor: int) -> list[Piece]:
        """What a stream at `cursor` doesn't have yet: it joined between two passes."""
        if cursor >= self._cursor:
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
                pieces.append(self.group.piece(held, entry.seq, times_of(held)))
                held, size = [], 0
        if held:
            times = self.times if len(held) == len(self.times) else times_of(held)
            pieces.append(self.group.piece(held, self._cursor, times))
        elif pieces:  # leads to the cursor all the same
            pieces[-1] = msgspec.structs.replace(pieces[-1], cursor=self._cursor)
        return pieces
