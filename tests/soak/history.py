"""What publishers intended and were told, and what subscribers received: the record that the checker reads.

Numbers are kept in arrays, 8 bytes a delivery and 18 a published event: ten minutes at some thousands of
events a second fit into memory. An event is known by its *token*, a number that its message bears and that
no other event has.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Id = tuple[int, int]
"""Epoch and seq: comparable as event ids are."""

UNKNOWN, REFUSED, ACKNOWLEDGED = range(3)
"""What became of a POST, for its publisher. Unknown: sent, at least in part, and no answer came."""


def parse_id(text: str) -> Id:
    """The id that `text` spells.

    Raises:
        ValueError: it spells none.
    """
    epoch, seq = text.split("-")
    return int(epoch), int(seq)


@dataclass(frozen=True)
class Asked:
    """What a subscriber asks for: topic patterns and types, as in the address; empty asks for all."""

    topics: tuple[str, ...] = ()
    types: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        return not self.types and (not self.topics or "*" in self.topics)

    def matches(self, topic: str, type: str) -> bool:
        if self.types and type not in self.types:
            return False
        return not self.topics or any(
            topic.startswith(each[:-1]) if each.endswith("*") else topic == each
            for each in self.topics
        )


class Published:
    """All events that publishers tried to publish, by token.

    Args:
        kinds: every topic with its type that is published.

    Attributes:
        of_kind: by token, the place in `kinds`.
        outcomes: by token, one of `UNKNOWN`, `REFUSED` and `ACKNOWLEDGED`.
        epochs, seqs: by token, the id that the publisher was told; 0 if none.
        publishers: by token, who tried. A publisher has one POST under way at a time.
    """

    def __init__(self, kinds: Sequence[tuple[str, str]]) -> None:
        assert len(kinds) < 255
        self.kinds = tuple(kinds)
        self.of_kind = bytearray()
        self.outcomes = bytearray()
        self.publishers = bytearray()
        self.epochs = array("Q")
        self.seqs = array("I")
        self._newest: Id = (0, 0)

    def intend(self, publisher: int, kinds: Sequence[int]) -> range:
        """The tokens of one POST, of an event of each of these kinds in this order; unknown as yet."""
        tokens = range(len(self), len(self) + len(kinds))
        self.of_kind += bytes(kinds)
        self.outcomes += bytes([UNKNOWN]) * len(kinds)
        self.publishers += bytes([publisher]) * len(kinds)
        self.epochs.extend([0] * len(kinds))
        self.seqs.extend([0] * len(kinds))
        return tokens

    def refused(self, tokens: range) -> None:
        """Nothing of this was published, as the publisher knows."""
        self.outcomes[tokens.start : tokens.stop] = bytes([REFUSED]) * len(tokens)

    def acknowledged(self, tokens: range, ids: Sequence[Id]) -> None:
        """The publisher was told these ids."""
        assert len(ids) == len(tokens)
        self.outcomes[tokens.start : tokens.stop] = bytes([ACKNOWLEDGED]) * len(tokens)
        for token, (epoch, seq) in zip(tokens, ids, strict=True):
            self.epochs[token] = epoch
            self.seqs[token] = seq
        self._newest = max(self._newest, *ids)

    def newest(self) -> Id:
        """The newest id that a publisher was told."""
        return self._newest

    def __len__(self) -> int:
        return len(self.of_kind)


@dataclass(frozen=True, slots=True)
class Welcome:
    """What `connection` says."""

    id: Id
    resumed: bool = False
    replayed: int | None = 0
    missed: int | None = 0


@dataclass(frozen=True, slots=True)
class Gap:
    """What `gap` says."""

    reason: str
    requested: Id
    oldest: Id | None
    missed: int | None


@dataclass(slots=True)
class Connection:
    """One life of a subscriber.

    Attributes:
        requested: the id it resumed from, None the first time.
        newest: an id that a publisher was told before it began.
        start: where its deliveries begin in the subscriber's arrays; they end where the next one's begin.
        welcome, gap: what it was told, None if it was cut before.
        odd: what was wrong by itself.
    """

    requested: Id | None
    newest: Id
    start: int
    welcome: Welcome | None = None
    gap: Gap | None = None
    odd: list[str] = field(default_factory=list)


class Subscriber:
    """What one subscriber received, in order, over all its connections.

    Attributes:
        cursor: the last id that it read whole, that of an event or a welcome.
        seqs, tokens: of each delivery. The epoch is that of the connection's welcome.
    """

    def __init__(self, name: str, asked: Asked) -> None:
        self.name = name
        self.asked = asked
        self.cursor: Id | None = None
        self.connections: list[Connection] = []
        self.seqs = array("I")
        self.tokens = array("I")

    def connect(self, newest: Id = (0, 0)) -> Connection:
        """A connection that resumes from the cursor begins, when `newest` is in the log."""
        self.connections.append(Connection(self.cursor, newest, len(self.seqs)))
        return self.connections[-1]

    def welcomed(self, welcome: Welcome) -> None:
        connection = self.connections[-1]
        if connection.welcome:
            connection.odd.append("a second welcome")
        if len(self.seqs) > connection.start:
            connection.odd.append("events before the welcome")
        connection.welcome = welcome
        self.cursor = welcome.id

    def told(self, gap: Gap) -> None:
        connection = self.connections[-1]
        if connection.gap:
            connection.odd.append("a second gap")
        if not connection.welcome or len(self.seqs) > connection.start:
            connection.odd.append("a gap that isn't right after the welcome")
        connection.gap = gap

    def received(self, epoch: int, deliveries: Sequence[tuple[int, int]]) -> None:
        """Events of `epoch` came: seq and token of each, in order."""
        connection = self.connections[-1]
        if not connection.welcome:
            connection.odd.append("an event without a welcome")
        elif connection.welcome.id[0] != epoch:
            connection.odd.append(f"an event of epoch {epoch}, unlike the welcome")
        self.seqs.extend([seq for seq, _ in deliveries])
        self.tokens.extend([token for _, token in deliveries])
        self.cursor = epoch, self.seqs[-1]


class History:
    """All of it.

    Attributes:
        published: the events.
        subscribers: and what they got of them.
        end: the id up to which every subscriber was given the time to read; None if nobody was.
        keep_newest: of each of these topics, so many of the newest events stay when the hub's history moves on.
    """

    def __init__(self, kinds: Sequence[tuple[str, str]]) -> None:
        self.published = Published(kinds)
        self.subscribers: list[Subscriber] = []
        self.end: Id | None = None
        self.keep_newest: Mapping[str, int] = {}

    def subscriber(self, name: str, asked: Asked) -> Subscriber:
        """A new subscriber."""
        self.subscribers.append(Subscriber(name, asked))
        return self.subscribers[-1]
