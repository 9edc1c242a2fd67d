"""Two hubs on one Redis, publishers and subscribers that go from one to the other, and hubs that are killed.

As in tests/soak: every choice comes of one seed, which is printed.

- SOAK_SEED: the seed; drawn if not given.
- SOAK_SECONDS: how long the long form takes, 600.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S
from tests.redis_process import RedisProcess
from tests.soak.checker import Checker
from tests.soak.history import ACKNOWLEDGED
from tests.soak.publishers import KINDS, Publisher
from tests.soak.run import Run
from tests.soak.subscribers import Reader, draw_asked

LONG_S = float(os.environ.get("SOAK_SECONDS", "600"))
FLAGS = (
    *("--heartbeat", "0.5"),
    *("--retry", "1000"),
    *("--drain-timeout", "2"),
    *("--log-level", "warning"),
    *("--canary", "0"),
)


@dataclass(frozen=True)
class Size:
    """How long, and how much of it."""

    seconds: float
    publishers: int
    subscribers: int
    events_per_s: float
    kills: int
    outages: int


SHORT = Size(6, 4, 30, 400, 2, 0)
LONG = Size(LONG_S, 8, 40, 1_000, int(LONG_S / 10), int(LONG_S / 60))


class HoppingPublisher(Publisher):
    """Each of its connections goes to any hub."""

    ports: Sequence[int] = ()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if not self._reader:
            self._port = self._dice.choice(self.ports)
        return await super()._connect()


class HoppingReader(Reader):
    """Each of its connections goes to any hub."""

    ports: Sequence[int] = ()

    async def _live(
        self, is_enough: Callable[[], bool], bytes_left: int | None = None, sleeps_s: float = 0.0
    ) -> None:
        self._port = self._dice.choice(self.ports)
        await super()._live(is_enough, bytes_left, sleeps_s)


class Cluster(Run):
    """What happens to the hubs and to Redis."""

    def __init__(
        self, hubs: Sequence[HubProcess], redis: RedisProcess, size: Size, dice: random.Random
    ) -> None:
        # Slow readers may be all of it behind: the log keeps it for them.
        super().__init__(dice, PATIENCE_S + size.seconds)
        self.hubs, self.redis, self.size = hubs, redis, size
        self.incidents: Counter[str] = Counter()
        ports = [hub.port for hub in hubs]
        rate = size.events_per_s / size.publishers
        publishers = []
        for number in range(size.publishers):
            publisher = HoppingPublisher(number, self.history, 0, self._own_dice(), rate)
            publisher.ports = ports
            publishers.append(publisher)
        self.publishers = publishers
        self.readers = [self._reader(number, ports) for number in range(size.subscribers)]

    def _reader(self, number: int, ports: Sequence[int]) -> HoppingReader:
        dice = self._own_dice()
        subscriber = self.history.subscriber(f"subscriber {number}", draw_asked(dice, KINDS))
        # A hub may lie behind what publishers were told by the other one: nobody counts on it.
        reader = HoppingReader(subscriber, 0, dice, lambda: (0, 0))
        reader.ports = ports
        return reader

    async def _let_happen(self) -> None:
        """Kill hubs, and Redis, at times that were drawn."""
        size, dice = self.size, self.dice
        kinds = ["hub"] * size.kills + ["redis"] * size.outages
        dice.shuffle(kinds)
        started = time.monotonic()
        for kind, at in zip(kinds, self._times(len(kinds)), strict=True):
            self.incidents[kind] += 1
            await asyncio.sleep(started + at - time.monotonic())
            victim = self.redis if kind == "redis" else dice.choice(self.hubs)
            victim.kill()
            await asyncio.sleep(dice.uniform(0, 0.5))
            victim.restart()
        await asyncio.sleep(started + size.seconds - time.monotonic())

    def check(self, seed: int) -> None:
        """Print what came of it, and see that nothing was lost, repeated or out of order, and no gap told."""
        checker = Checker(self.history)
        faults = checker.check()
        connections = [c for each in self.history.subscribers for c in each.connections]
        print(
            {
                "acknowledged": self.history.published.outcomes.count(ACKNOWLEDGED),
                "received": sum(len(each.seqs) for each in self.history.subscribers),
                "connections": len(connections),
                "gaps": sum(each.gap is not None for each in connections),
                "unknown, received": checker.seen_unknown,
                "unknown, holes": checker.holes,
                **self.incidents,
            }
        )
        faults += [odd for publisher in self.publishers for odd in publisher.odd]
        faults += [f"a gap: {each.gap}" for each in connections if each.gap]
        assert not faults, f"{len(faults)} faults with SOAK_SEED={seed}:\n" + "\n".join(faults[:20])

    def _times(self, count: int) -> Iterator[float]:
        yield from sorted(self.dice.uniform(1, self.size.seconds - 1) for _ in range(count))


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(SHORT, id="short"),
        pytest.param(
            LONG, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(2 * LONG_S + 240)]
        ),
    ],
)
async def test_clients_that_go_from_hub_to_hub_lose_nothing_and_get_nothing_twice(
    start_hub: StartHub, redis: RedisProcess, size: Size
) -> None:
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(2**32))
    print(f"\nSOAK_SEED={seed}, {size}")
    hubs = [start_hub(*FLAGS, "--journal", redis.url) for _ in range(2)]
    cluster = Cluster(hubs, redis, size, random.Random(seed))
    await cluster.run()

    cluster.check(seed)
    for hub in hubs:
        assert hub.stop() == 0
        assert "Traceback" not in hub.log(), hub.log()
