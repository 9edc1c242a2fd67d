"""One event as the log keeps it in memory: what filters ask about, and the bytes that streams send."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tocsin.core.event import Draft, Event, id_texts
from tocsin.core.wire import encode_event


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One event in the ring.

    That of a final event holds, behind it, what tells its readers that its topics have ended: so it comes to them
    wherever they read the event, live or replayed, and at no cost for other events.

    Attributes:
        seq: its place in the log.
        topic, type, more_topics: what filters ask about.
        time: Unix time in seconds that the journal gave it.
        block: it, encoded.
        received: Unix time in seconds that its deliveries are timed from, as far as it is known; else 0.
        traceparent: the trace it belongs to; empty if none.
    """

    seq: int
    topic: str
    type: str
    time: float
    block: bytes
    more_topics: tuple[str, ...] = ()
    received: float = 0.0
    traceparent: str = ""

    @classmethod
    def of(cls, event: Event) -> Entry:
        """Encode `event`; this happens once for all streams, live or replayed."""
        draft = event.draft
        block = encode_event(draft.type, draft.data, str(event.id))
        if draft.final:
            block += encode_ends(draft.topics, str(event.id))
        return cls(
            event.id.seq,
            draft.topic,
            draft.type,
            event.time,
            block,
            draft.more_topics,
            draft.received,
            draft.traceparent,
        )

    @classmethod
    def of_all(cls, events: Sequence[Event]) -> list[Entry]:
        """The same for several, which in a batch cost less."""
        if len(events) == 1:
            return [cls.of(events[0])]
        return [
            cls(
                event.id.seq,
                draft.topic,
                draft.type,
                event.time,
                encode_event(draft.type, draft.data, id)
                if not draft.final
                else _encode_final(draft, id),
                draft.more_topics,
                draft.received,
                draft.traceparent,
            )
            for event, id in zip(events, id_texts([event.id for event in events]), strict=True)
            for draft in (event.draft,)
        ]

    @property
    def topics(self) -> tuple[str, ...]:
        """All its topics, each once."""
        return (self.topic, *self.more_topics)

    @property
    def data(self) -> bytes:
        """The event's data as published, cut back out of the block, so that it isn't kept twice."""
        lines = self.block[: self._event_end].split(b"\n")[1:-1]
        return b"\n".join(line[len(b"data: ") :] for line in lines)

    @property
    def final(self) -> bool:
        """Whether it ended its topics; seen by the block, so that it takes no memory."""
        return self._event_end + 2 < len(self.block)

    @property
    def _event_end(self) -> int:
        """Where the event itself ends: at the first blank line, as each line of data has its name before it."""
        return self.block.index(b"\n\n")


class End(msgspec.Struct, frozen=True):
    """The data of `end`: a topic has ended, and nothing comes on it any more.

    Attributes:
        topic: that one.
        id: of the final event.
    """

    topic: str
    id: str


def encode_ends(topics: Sequence[str], id: str) -> bytes:
    """The events `end` of these topics, which the event with this id has ended.

    They bear no id: where a client is cut off behind one, it has the final event's.
    """
    return b"".join([encode_event("end", msgspec.json.encode(End(each, id))) for each in topics])


def _encode_final(draft: Draft, id: str) -> bytes:
    return encode_event(draft.type, draft.data, id) + encode_ends(draft.topics, id)
