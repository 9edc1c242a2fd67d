"""Requests that wait for events: long polls. Each is woken once, and then reads the log for itself.

They are clients of a kind of their own: no stream, in no receipt, and so many at most. What wakes them is bounded
work in each turn of the loop, whatever was published.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from time import perf_counter
from typing import Any, Protocol

from tocsin.core.filters import Filter
from tocsin.errors import Unavailable
from tocsin.eventlog.entry import Entry
from tocsin.hub.readers import Reader
from tocsin.hub.stream_limits import StreamLimits
from tocsin.hub.subscription_index import SubscriptionIndex, canonical
from tocsin.settings import Settings

log = logging.getLogger("tocsin")

TURN_S = 0.005
"""How long polls are answered before the loop gets its turn, or longer by those that are answered together."""

TOGETHER = 100
"""Polls that are answered together, at most: a millisecond."""

SLOTS_A_S = 10
"""Polls whose time is up in the same tenth of a second are woken by one timer: one for each would cost a fifth of an answer."""


class Asked(Protocol):
    """What is waited for. All who wait for the same should have the same one, as they are answered together."""

    @property
    def filter(self) -> Filter:
        """It lets through what they are woken for."""

    def on_woken(self, polls: Sequence[Any]) -> None:
        """Answer these, who asked for it and wait no more: some that they are for came, or their time is up."""


class Poll(Protocol):
    """One that waits. `group` and `until` are kept by `Polls`; another object for them would be one more that is cold."""

    @property
    def asked(self) -> Asked:
        """What it waits for."""

    @property
    def reader(self) -> Reader | None:
        """Who it is, where that matters."""

    group: PollGroup | None
    """Those that wait for events of the same filter; None from when it is answered, or was discarded."""

    until: int
    """The tenth of a second of the loop's clock in which its time is up."""


class PollGroup:
    """Those that wait for events of one filter: `waiting`, by until when. They all leave it at once, mostly."""

    __slots__ = ("filter", "size", "waiting")

    def __init__(self, filter: Filter) -> None:
        self.filter = filter
        self.waiting: dict[int, dict[Poll, None]] = {}
        self.size = 0  # of streams, for whom alone there are receipts


class Polls:
    """The polls of a hub.

    Attributes:
        refused: how many were too many.
    """

    def __init__(self, settings: Settings) -> None:
        self.refused = 0
        self._limit = settings.max_polls
        self._limits = StreamLimits(settings)
        self._groups: dict[Filter, PollGroup] = {}
        self._index: SubscriptionIndex[PollGroup] = SubscriptionIndex()
        self._open = 0
        self._due: deque[Poll] = deque()
        self._until: dict[int, dict[PollGroup, None]] = {}  # in which some wait until then
        self._is_over = False

    @property
    def used(self) -> float:
        """What share of those that there may be there are."""
        return self._open / self._limit if self._limit else 0.0

    def __len__(self) -> int:
        """How many wait."""
        return self._open

    def begin(self, poll: Poll, seconds: float, address: str = "") -> None:
        """Let `poll` wait until an event came that is for it, or for `seconds`; or until the hub says so.

        It waits from the call on: nothing that comes before the first turn of the loop is missed. It is answered in a
        later turn, once, unless `discard` was called before. A future and a task for each would take as long as the
        answer does.

        Raises:
            Unavailable: too many wait.
        """
        name = poll.reader.name if poll.reader else ""
        if self._open >= self._limit or self._limits.refuses(name, address):
            self.refused += 1
            raise Unavailable("too many requests wait for events", code="busy", retry_after_s=5)
        self._open += 1
        self._limits.add(id(poll), name, address)
        self._add(poll, 0.0 if self._is_over else seconds)

    def discard(self, poll: Poll) -> None:
        """Don't answer `poll`, if it isn't answered yet."""
        group, poll.group = poll.group, None
        waiting = group and group.waiting.get(poll.until)
        if not group or not waiting or poll not in waiting:
            return
        del waiting[poll]
        self._note_gone((poll,))
        if not waiting:
            self._take(group, poll.until)

    def note(self, entries: Sequence[Entry]) -> None:
        """Wake those that one of these events is for, which the log has just got."""
        if not self._groups:
            return
        kinds = {(entry.topic, entry.type, entry.more_topics): None for entry in entries}
        due: dict[PollGroup, None] = {}
        for kind in kinds:
            due.update(dict.fromkeys(self._index.matching(*kind)))
        self._wake_all_of(due)

    def note_ended(self, topics: Iterable[str]) -> None:
        """Wake those that asked for one of these topics, which have ended: there may be nothing to wait for."""
        self._wake_all_of(
            dict.fromkeys(group for topic in topics for group in self._index.naming(topic))
        )

    def wake_all(self) -> None:
        """Wake them all: a new log began."""
        self._wake_all_of(tuple(self._groups.values()))

    def wake_where(self, is_over: Callable[[Reader], bool]) -> None:
        """Wake those whose reader may not read any more."""
        for group in tuple(self._groups.values()):
            for until, waiting in tuple(group.waiting.items()):
                due = [poll for poll in waiting if poll.reader and is_over(poll.reader)]
                for poll in due:
                    del waiting[poll]
                self._wake(due)
                if not waiting:
                    self._take(group, until)

    def end(self) -> None:
        """Wake them all, and let nobody wait any more: the hub stops."""
        self._is_over = True
        self.wake_all()

    # --- waiting ----------------------------------------------------------------------------------

    def _add(self, poll: Poll, seconds: float) -> None:
        """Have `poll` be woken by its events, or in `seconds`, or a tenth of a second later at most."""
        filter = canonical(poll.asked.filter)
        group = self._groups.get(filter)
        if group is None:
            group = self._groups[filter] = PollGroup(filter)
            self._index.add(filter, group)
        loop = asyncio.get_running_loop()
        until = math.ceil((loop.time() + seconds) * SLOTS_A_S)
        waiting = group.waiting.get(until)
        if waiting is None:
            waiting = group.waiting[until] = {}
            if until not in self._until:
                self._until[until] = {}
                loop.call_at(until / SLOTS_A_S, self._wake_at, until)
            self._until[until][group] = None
        waiting[poll] = None
        poll.group, poll.until = group, until

    def _take(self, group: PollGroup, until: int) -> dict[Poll, None]:
        """Those of `group` that wait until then, who don't any more; the last ones take the group along."""
        del self._until[until][group]
        waiting = group.waiting.pop(until)
        if not group.waiting:
            del self._groups[group.filter]
            self._index.remove(group.filter, group)
        return waiting

    def _note_gone(self, polls: Collection[Poll]) -> None:
        """Count no more that these wait."""
        self._open -= len(polls)
        if self._limits.are_set:
            for poll in polls:
                self._limits.remove(id(poll))

    # --- waking -----------------------------------------------------------------------------------

    def _wake_at(self, until: int) -> None:
        for group in tuple(self._until[until]):
            self._wake(self._take(group, until))
        del self._until[until]

    def _wake_all_of(self, groups: Iterable[PollGroup]) -> None:
        for group in groups:
            for until in tuple(group.waiting):
                self._wake(self._take(group, until))

    def _wake(self, polls: Collection[Poll]) -> None:
        """Have these, which wait no more, answered in the loop's next turns."""
        if polls and not self._due:
            asyncio.get_running_loop().call_soon(self._answer_some)
        self._note_gone(polls)
        self._due.extend(polls)

    def _answer_some(self) -> None:
        over = perf_counter() + TURN_S
        while self._due and perf_counter() < over:
            together: dict[Asked, list[Poll]] = {}
            for _ in range(min(TOGETHER, len(self._due))):
                poll = self._due.popleft()
                if poll.group:  # else it was discarded
                    poll.group = None
                    together.setdefault(poll.asked, []).append(poll)
            for asked, polls in together.items():
                self._answer(asked, polls)
        if self._due:
            asyncio.get_running_loop().call_soon(self._answer_some)

    @staticmethod
    def _answer(asked: Asked, polls: Sequence[Poll]) -> None:
        try:
            asked.on_woken(polls)
        except Exception:  # a bug, of which the others that wait must not suffer
            log.exception("requests that waited failed")
