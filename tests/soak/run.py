"""One run: publishers and readers at work, while a test lets things happen to what they talk to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from tests.patience import PATIENCE_S
from tests.soak.history import History, Id, Subscriber
from tests.soak.publishers import KINDS, Publisher
from tests.soak.subscribers import Reader


class Run:
    """Who takes part; `_let_happen` is the test's.

    Args:
        dice: of all choices.
        catch_up_s: how long slow readers may take at the end.
    """

    publishers: Sequence[Publisher]
    readers: Sequence[Reader]

    def __init__(self, dice: random.Random, catch_up_s: float = PATIENCE_S) -> None:
        self.dice = dice
        self.history = History(KINDS)
        self._catch_up_s = catch_up_s
        self._is_over = False

    def _own_dice(self) -> random.Random:
        """Dice of one's own: what the others do doesn't change what is drawn."""
        return random.Random(self.dice.getrandbits(64))

    def is_over(self) -> bool:
        return self._is_over

    async def run(self) -> None:
        """All of it, until every subscriber has read to the end."""
        async with asyncio.TaskGroup() as group:
            for reader in self.readers:
                group.create_task(reader.churn(self.is_over))
            for publisher in self.publishers:
                group.create_task(publisher.publish_until(self.is_over))
            await self._let_happen()
            self._is_over = True
        await self._end()

    async def _let_happen(self) -> None:
        """What happens, at times that were drawn; ends when the run is over."""
        raise NotImplementedError

    async def _end(self) -> None:
        """Publish one event of each kind, and let everybody read up to its own last one."""
        publisher = self.publishers[0]
        async with asyncio.timeout(PATIENCE_S):
            while not await publisher.publish(range(len(KINDS))):
                pass
        publisher.disconnect()
        assert publisher.last
        self.history.end = publisher.last
        readers = zip(self.readers, self.history.subscribers, strict=True)
        try:
            async with asyncio.timeout(self._catch_up_s):
                await asyncio.gather(*(r.read_up_to(self._last_for(s)) for r, s in readers))
        except TimeoutError:
            pass  # the checker says who lacks what

    def _last_for(self, subscriber: Subscriber) -> Id | None:
        """The id of the last of the final events that a subscriber gets; None if it gets none."""
        assert self.history.end
        epoch, last = self.history.end
        first = last - len(KINDS) + 1
        its_own = [seq for seq, kind in enumerate(KINDS, first) if subscriber.asked.matches(*kind)]
        return (epoch, its_own[-1]) if its_own else None
