"""The journal that keeps nothing: it gives ids, and the ring is all there is.

A restart makes a new epoch, so that every client that comes back is told of the gap.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import repeat

from tocsin.core.event import Event, EventId, ids_from
from tocsin.errors import Unavailable
from tocsin.eventlog.journal.base import (
    Append,
    Committed,
    Deliver,
    Figures,
    Once,
    Opening,
    Outcome,
    Reset,
    Tell,
    Window,
)
from tocsin.eventlog.journal.ended import MOST, EndedTopics, Final, end_some, ended_by
from tocsin.eventlog.journal.keys import Appended, KnownKeys, Place

KEYS = 100_000
KEYS_WINDOW_S = 86_400.0


class MemoryJournal:
    """Ids from a counter. A group is committed when `append` returns, and lost when the process ends.

    Args:
        clock: Unix time in seconds.
        keys: idempotency keys that are known at most.
        keys_window_s: seconds that each of them is.
        ended_topics: topics that have ended and are remembered at most.
    """

    history = None
    nodes = None
    figures = Figures()

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        *,
        keys: int = KEYS,
        keys_window_s: float = KEYS_WINDOW_S,
        ended_topics: int = MOST,
    ) -> None:
        self._clock = clock
        self._now = clock()
        self._epoch = int(self._now * 1000)
        self._seq = 0
        self._keys = KnownKeys(keys, keys_window_s)
        self._ended = EndedTopics(ended_topics)
        self._deliver: Deliver | None = None

    @property
    def status(self) -> str:
        """Empty between start and stop."""
        return "" if self._deliver else "the journal is not started"

    async def start(self, deliver: Deliver, reset: Reset, window: Window) -> Opening:
        """Begin an empty log; there is no window to load, and never a new epoch."""
        self._deliver = deliver
        return Opening(EventId(self._epoch, 0))

    def append(self, appends: Sequence[Append], tell: Tell) -> None:
        """Give the drafts the next ids, deliver them and tell of it, all at once."""
        if self._deliver is None:
            raise Unavailable(self.status, code="journal_down")
        now = self._now = max(self._now, self._clock())
        events: list[Event] = []
        outcomes: list[Outcome] = []
        new_keys: dict[Place, Appended] = {}
        newly_ended: dict[str, Final] = {}
        may_end = len(self._ended) > 0 or True in [end_some(append.drafts) for append in appends]
        for append in appends:
            known = self._find(append.once, new_keys, now) if append.once else None
            if known:
                outcomes.append(known)
                continue
            if may_end:
                refusal = self._ended.refuse(append.drafts, newly_ended)
                if refusal:
                    outcomes.append(refusal)
                    continue
            first = self._seq + len(events) + 1
            ids = ids_from(self._epoch, first, len(append.drafts))
            events += map(Event, ids, append.drafts, repeat(now))
            if may_end and end_some(append.drafts):
                newly_ended.update(ended_by(events[-len(ids) :]))
            outcomes.append(Committed(ids))
            if append.once and ids:
                place = (append.once.scope, append.once.key)
                new_keys[place] = Appended(append.once.digest, ids[0], len(ids), now)
        # Counted after they were delivered: what the hub could not take never was, and no hole remains.
        self._deliver(events)
        self._seq += len(events)
        if new_keys:
            self._keys.add(new_keys)
        if newly_ended:
            self._ended.add(newly_ended.items())
        tell(outcomes)

    def _find(self, once: Once, new_keys: dict[Place, Appended], now: float) -> Outcome | None:
        """What the publisher is told whose key is known; None where there is something to append."""
        known = new_keys.get((once.scope, once.key)) or self._keys.find(once, now)
        return known.outcome(once) if known else None

    async def stop(self) -> None:
        """Forget the hub; appends are over."""
        self._deliver = None
