"""Requests that wait for events: long polls. Each is woken once, and then reads the log for itself.

They are clients of a kind of their own: no stream, in no receipt, and so many at most. What wakes them is bounded
work in each turn of the loop, whatever was published.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from tocsin.core.filters import Filter
from tocsin.errors import Unavailable
from tocsin.eventlog.entry import Entry
from tocsin.hub.readers import Reader
from tocsin.hub.stream_limits import StreamLimits
from tocsin.hub.subscription_index import SubscriptionIndex, canonical
from tocsin.settings import Settings

log = logging.getLogger("tocsin")

WAKES_A_TURN = 50
"""Polls that are woken before the loop gets its turn: each makes an answer then, of some 50 us."""

SLOTS_A_S = 10
"""Polls whose time is up in the same tenth of a second are woken by one timer: one for each would cost a fifth of an answer."""


class Poll:
    """One that waits; `on_woken` is None when it does no more."""

    __slots__ = ("group", "number", "on_woken", "reader", "until")

    def __init__(
        self, number: int, group: PollGroup, reader: Reader | None, on_woken: Callable[[], None]
    ) -> None:
        self.number = number
        self.group = group
        self.reader = reader
        self.on_woken: Callable[[], None] | None = on_woken
        self.until = 0
        """The tenth of a second of the loop's clock in which its time is up."""


class PollGroup:
    """Those that wait for the same."""

    __slots__ = ("filter", "polls", "size")

    def __init__(self, filter: Filter) -> None:
        self.filter = filter
        self.polls: dict[Poll, None] = {}
        self.size = 0  # of streams, for whom alone there are receipts


class Polls:
    """The polls of a hub.

    Attributes:
        total: how many have begun to wait so far.
        refused: how many were too many.
        passes: how often some were woken. Nothing comes into the log between two that are woken in the same one.
    """

    def __init__(self, settings: Settings) -> None:
        self.total = self.refused = self.passes = 0
        self._limit = settings.max_polls
        self._limits = StreamLimits(settings)
        self._groups: dict[Filter, PollGroup] = {}
        self._index: SubscriptionIndex[PollGroup] = SubscriptionIndex()
        self._open = 0
        self._due: deque[Poll] = deque()
        self._until: dict[int, dict[Poll, None]] = {}  # those who wait until then
        self._is_over = False

    @property
    def used(self) -> float:
        """What share of those that there may be there are."""
        return self._open / self._limit if self._limit else 0.0

    def __len__(self) -> int:
        """How many wait."""
        return self._open

    def begin(
        self,
        filter: Filter,
        seconds: float,
        on_woken: Callable[[], None],
        reader: Reader | None = None,
        address: str = "",
    ) -> Poll:
        """Let a request wait until an event came that `filter` lets through, or for `seconds`; or until the hub says so.

        It waits from the call on: nothing that comes before the first turn of the loop is missed. `on_woken` is called
        once, in a later turn, unless `discard` was called before. A future and a task for each would take as long as
        the answer does.

        Raises:
            Unavailable: too many wait.
        """
        name = reader.name if reader else ""
        if self._open >= self._limit or self._limits.refuses(name, address):
            self.refused += 1
            raise Unavailable("too many requests wait for events", code="busy", retry_after_s=5)
        poll = self._add(canonical(filter), reader, address, on_woken)
        if self._is_over:
            seconds = 0.0
        self._wait_until(poll, seconds)
        return poll

    def discard(self, poll: Poll) -> None:
        """Forget `poll`, if it waits still."""
        if poll.on_woken is not None:
            self._remove(poll)

    def note(self, entries: Sequence[Entry]) -> None:
        """Wake those that one of these events is for, which the log has just got."""
        if not self._groups:
            return
        kinds = {(entry.topic, entry.type, entry.more_topics): None for entry in entries}
        due: dict[PollGroup, None] = {}
        for kind in kinds:
            due.update(dict.fromkeys(self._index.matching(*kind)))
        for group in due:
            self._wake_later(tuple(group.polls))

    def note_ended(self, topics: Iterable[str]) -> None:
        """Wake those that asked for one of these topics, which have ended: there may be nothing to wait for."""
        due = dict.fromkeys(group for topic in topics for group in self._index.naming(topic))
        for group in due:
            self._wake_later(tuple(group.polls))

    def wake_all(self) -> None:
        """Wake them all: a new log began."""
        for group in self._groups.values():
            self._wake_later(tuple(group.polls))

    def wake_where(self, is_over: Callable[[Reader], bool]) -> None:
        """Wake those whose reader may not read any more."""
        for group in self._groups.values():
            self._wake_later([p for p in group.polls if p.reader and is_over(p.reader)])

    def end(self) -> None:
        """Wake them all, and let nobody wait any more: the hub stops."""
        self._is_over = True
        self.wake_all()

    def _add(
        self, filter: Filter, reader: Reader | None, address: str, on_woken: Callable[[], None]
    ) -> Poll:
        group = self._groups.get(filter)
        if group is None:
            group = self._groups[filter] = PollGroup(filter)
            self._index.add(filter, group)
        self.total += 1
        poll = Poll(self.total, group, reader, on_woken)
        group.polls[poll] = None
        self._open += 1
        self._limits.add(poll.number, reader.name if reader else "", address)
        return poll

    def _wait_until(self, poll: Poll, seconds: float) -> None:
        """Wake `poll` in `seconds`, or a tenth of a second later at most."""
        loop = asyncio.get_running_loop()
        until = poll.until = math.ceil((loop.time() + seconds) * SLOTS_A_S)
        if until not in self._until:
            self._until[until] = {}
            loop.call_at(until / SLOTS_A_S, self._wake_at, until)
        self._until[until][poll] = None

    def _wake_at(self, until: int) -> None:
        self._wake_later(tuple(self._until.pop(until)))

    def _wake(self, poll: Poll) -> None:
        """Let it read again, and answer."""
        on_woken = poll.on_woken
        if on_woken is None:
            return
        self._remove(poll)
        try:
            on_woken()
        except Exception:  # a bug, of which the others that wait must not suffer
            log.exception("a request that waited failed")

    def _remove(self, poll: Poll) -> None:
        group = poll.group
        poll.on_woken = None
        waiting = self._until.get(poll.until)
        if waiting is not None:  # else its time is up
            waiting.pop(poll, None)
        del group.polls[poll]
        self._open -= 1
        self._limits.remove(poll.number)
        if not group.polls:
            del self._groups[group.filter]
            self._index.remove(group.filter, group)

    def _wake_later(self, polls: Sequence[Poll]) -> None:
        """Wake these in the loop's next turns. Another one that is published meanwhile has them wake no later."""
        if polls and not self._due:
            asyncio.get_running_loop().call_soon(self._wake_some)
        self._due.extend(poll for poll in polls if poll.on_woken is not None)

    def _wake_some(self) -> None:
        self.passes += 1
        for _ in range(min(WAKES_A_TURN, len(self._due))):
            self._wake(self._due.popleft())
        if self._due:
            asyncio.get_running_loop().call_soon(self._wake_some)
