"""One event as the log keeps it in memory: what filters ask about, and the bytes that streams send."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tocsin.core.event import Event, id_texts
from tocsin.core.wire import encode_event


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One event in the ring: its seq, what filters ask about, and its encoded `block`."""

    seq: int
    topic: str
    type: str
    time: float
    block: bytes
    more_topics: tuple[str, ...] = ()

    @classmethod
    def of(cls, event: Event) -> Entry:
        """Encode `event`; this happens once for all streams, live or replayed."""
        draft = event.draft
        block = encode_event(draft.type, draft.data, str(event.id))
        return cls(event.id.seq, draft.topic, draft.type, event.time, block, draft.more_topics)

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
                encode_event(draft.type, draft.data, id),
                draft.more_topics,
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
        lines = self.block.split(b"\n")[1:-3]
        return b"\n".join(line[len(b"data: ") :] for line in lines)
