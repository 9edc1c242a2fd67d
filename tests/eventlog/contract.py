"""The hub's end of a journal, for the tests of the contract: it notes what it is given, and checks it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.eventlog.appended import appended
from tests.eventlog.journals import Store
from tests.redis.contract_store import ENDED_TOPICS
from tocsin.core.event import Draft, Event, EventId
from tocsin.eventlog.journal import (
    Append,
    Committed,
    EndedTopics,
    Final,
    Opening,
    Outcome,
    Window,
    ended_by,
)


class Receiver:
    """Opens a journal and takes what it delivers. Any hole, repetition or disorder fails at once.

    Attributes:
        opening: what the journal held when it was started.
        delivered: every event since then.
        resets: every opening of a new epoch since then.
        head: the id that the next event comes after.
    """

    def __init__(self, store: Store) -> None:
        self.journal = store.open()
        self.opening = Opening(EventId(0, 0))
        self.head = self.opening.floor
        self.delivered: list[Event] = []
        self.resets: list[Opening] = []
        self._time = 0.0

    @classmethod
    async def start(cls, store: Store, window: int = 1_000) -> Receiver:
        self = cls(store)
        self.opening = await self.journal.start(self._deliver, self._reset, Window(window, 2**30))
        self.head = self.opening.floor
        self._follow(self.opening.events)
        assert len(self.opening.events) <= window
        return self

    async def append(self, *drafts: Draft) -> Sequence[EventId]:
        """Append, and see that each event was delivered before the answer came."""
        (outcome,) = await self.append_group(Append(drafts))
        assert isinstance(outcome, Committed)
        assert len(outcome.ids) == len(drafts)
        return outcome.ids

    async def append_group(self, *appends: Append) -> Sequence[Outcome]:
        """Append what came in during one turn of the loop; the same is seen to."""
        outcomes = await appended(self.journal, appends, self._check_delivered)
        assert len(outcomes) == len(appends)
        return outcomes

    def texts(self) -> list[bytes]:
        """The data of what was delivered."""
        return [event.draft.data for event in self.delivered]

    @property
    def ended(self) -> dict[str, Final]:
        """What the hub knows of ended topics, from the opening and what was delivered since."""
        ended = EndedTopics(ENDED_TOPICS, self.opening.ended)
        ended.add(ended_by(self.delivered))
        return dict(ended.all)

    def _deliver(self, events: Sequence[Event]) -> None:
        self._follow(events)
        self.delivered += events

    def _reset(self, opening: Opening) -> None:
        assert opening.floor.epoch > self.head.epoch
        self.head = opening.floor
        self._follow(opening.events)
        self.resets.append(opening)

    def _follow(self, events: Sequence[Event]) -> None:
        for event in events:
            assert event.id == EventId(self.head.epoch, self.head.seq + 1)
            assert event.time >= self._time
            self.head, self._time = event.id, event.time

    def _check_delivered(self, outcomes: Sequence[Outcome]) -> None:
        ids = {id for outcome in outcomes if isinstance(outcome, Committed) for id in outcome.ids}
        assert ids <= {event.id for event in (*self.opening.events, *self.delivered)}


def group(*texts: str) -> list[Append]:
    """A group of one append, with an event for each text."""
    return [Append(drafts(*texts))]


def drafts(*texts: str) -> list[Draft]:
    """An event for each text."""
    return [Draft("tick", text.encode()) for text in texts]


def on(*topics: str, final: bool = False) -> Draft:
    """An event on these topics."""
    topic, *more_topics = topics
    return Draft("tick", b"x", topic, more_topics=tuple(more_topics), final=final)
