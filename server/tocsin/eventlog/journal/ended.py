"""Topics that have ended, and by what event. The newest are remembered; one that is forgotten is open again.

It is kept twice: by the journal, which refuses what is published to one of them, and by the hub, which tells its
streams. Both follow from the log in its order, so they say the same of an event that was delivered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from tocsin.core.event import Draft, Event
from tocsin.core.filters import Filter
from tocsin.errors import TopicEnded

MOST = 10_000


class Final(NamedTuple):
    """What is known of the event that ended a topic."""

    seq: int
    type: str


Ended = tuple[str, Final]
"""A topic, and what ended it."""


class EndedTopics:
    """The topics that ended last.

    Args:
        most: how many are remembered.
        known: those that ended before, the oldest first.
    """

    def __init__(self, most: int = MOST, known: Iterable[Ended] = ()) -> None:
        self._most = most
        self._finals: dict[str, Final] = {}  # the oldest first
        self.add(known)

    def __len__(self) -> int:
        return len(self._finals)

    def __contains__(self, topic: object) -> bool:
        return topic in self._finals

    @property
    def all(self) -> Sequence[Ended]:
        """All that are remembered, the oldest first."""
        return list(self._finals.items())

    def find(self, topic: str) -> Final | None:
        """What ended `topic`; None where it is open."""
        return self._finals.get(topic)

    @property
    def oldest(self) -> str:
        """The topic that is forgotten next; there is one."""
        return next(iter(self._finals))

    def add(self, ended: Iterable[Ended]) -> None:
        """Remember these too, one after the other, and forget the oldest of too many."""
        finals = self._finals
        for topic, final in ended:
            finals.pop(topic, None)  # it was forgotten by the journal, which counts as it goes
            finals[topic] = final
            if len(finals) > self._most:
                del finals[self.oldest]

    def cover(self, filter: Filter) -> bool:
        """Whether nothing can come any more that `filter` lets through: it names its topics, and all have ended."""
        if not self._finals or not filter.names_its_topics:
            return False
        return all(topic in self._finals for topic in filter.exact)

    def of(self, filter: Filter) -> list[Ended]:
        """Those of the topics named whole by `filter` that have ended, in the order in which they did."""
        if not self._finals:
            return []
        ended = [(each, self._finals[each]) for each in filter.exact if each in self._finals]
        return sorted(ended, key=lambda each: each[1].seq)

    def refuse(self, drafts: Sequence[Draft], newly: Collection[str] = ()) -> TopicEnded | None:
        """Why `drafts` can't be appended as one: the first topic that has ended, or ends in them before; or None.

        `newly` has ended since, and isn't added yet.
        """
        finals = self._finals
        # Each publish asks: where nothing has ended, this is all of it.
        if not finals and not newly and not end_some(drafts):
            return None
        if len(drafts) == 1 and not drafts[0].more_topics:  # as most publish
            topic = drafts[0].topic
            return TopicEnded(topic, 0) if topic in finals or topic in newly else None
        here = set(newly)
        for place, draft in enumerate(drafts):
            for topic in draft.topics if draft.more_topics else (draft.topic,):
                if topic in finals or topic in here:
                    return TopicEnded(topic, place)
            if draft.final:
                here.update(draft.topics)
        return None


def end_some(drafts: Sequence[Draft]) -> bool:
    """Whether one of `drafts` ends its topics."""
    if len(drafts) == 1:
        return drafts[0].final
    return True in [draft.final for draft in drafts]


def ended_by(events: Sequence[Event]) -> list[Ended]:
    """What `events`, which follow one another, end, in their order."""
    return [
        (topic, Final(event.id.seq, event.draft.type))
        for event in events
        if event.draft.final
        for topic in event.draft.topics
    ]
