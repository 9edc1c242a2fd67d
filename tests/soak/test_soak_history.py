"""A hub under publishers, churning subscribers and kills: nothing is lost, repeated or out of order.

Every choice comes of one seed, which is printed: what is drawn repeats with it, the interleaving does not.

- SOAK_SEED: the seed; drawn if not given.
- SOAK_SECONDS: how long the long form takes, 600.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import time
from collections import Counter
from dataclasses import dataclass

import pytest

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.soak.checker import Checker
from tests.soak.history import ACKNOWLEDGED, REFUSED, UNKNOWN, History
from tests.soak.publishers import KINDS, Publisher
from tests.soak.run import Run
from tests.soak.subscribers import Reader, draw_asked

LONG_S = float(os.environ.get("SOAK_SECONDS", "600"))
PUBLISHERS = 8
FLAGS = (
    *("--heartbeat", "0.5"),
    *("--slow-client-timeout", "2"),
    *("--drain-timeout", "2"),
    *("--retry", "1000"),
    *("--log-level", "warning"),
)


@dataclass(frozen=True)
class Size:
    """How long, and how much of it."""

    seconds: float
    subscribers: int
    events_per_s: float
    incidents: int
    longest_stop_s: float


SHORT = Size(16, 100, 1_500, 4, 1.5)
LONG = Size(LONG_S, 100, 3_000, int(LONG_S / 10) + 3, 8)


class Soak(Run):
    """What happens to the hub."""

    def __init__(self, hub: HubProcess, size: Size, dice: random.Random) -> None:
        super().__init__(dice)
        self.hub, self.size = hub, size
        self.incidents: Counter[str] = Counter()
        self.closed_as_slow = 0
        rate = size.events_per_s / PUBLISHERS
        self.publishers = [
            Publisher(number, self.history, hub.port, self._own_dice(), rate)
            for number in range(PUBLISHERS)
        ]
        self.readers = [self._reader(number) for number in range(size.subscribers)]

    def _reader(self, number: int) -> Reader:
        dice = self._own_dice()
        subscriber = self.history.subscriber(f"subscriber {number}", draw_asked(dice, KINDS))
        return Reader(subscriber, self.hub.port, dice, self.history.published.newest)

    async def _let_happen(self) -> None:
        """Kill, drain and stop the hub at times that were drawn, each of them at least once."""
        size, dice = self.size, self.dice
        kinds = ["kill", "drain", "stop"]
        kinds += dice.choices(kinds, k=size.incidents - len(kinds))
        dice.shuffle(kinds)
        times = sorted(dice.uniform(1, size.seconds - 1) for _ in kinds)
        started = time.monotonic()
        for kind, at in zip(kinds, times, strict=True):
            away_s, stop_s = dice.uniform(0, 0.5), dice.uniform(1, size.longest_stop_s)
            await asyncio.sleep(started + at - time.monotonic())
            self.incidents[kind] += 1
            if kind == "stop":
                self.hub.signal(signal.SIGSTOP)
                await asyncio.sleep(stop_s)
                self.hub.signal(signal.SIGCONT)
                continue
            await self._count_slow()
            if kind == "kill":
                self.hub.kill()
            else:
                self.hub.signal(signal.SIGTERM)
                assert await asyncio.to_thread(self.hub.wait) == 0
            await asyncio.sleep(away_s)
            self.hub.restart()
        await asyncio.sleep(started + size.seconds - time.monotonic())
        await self._count_slow()

    async def _count_slow(self) -> None:
        """Count the streams that the hub, as long as it runs, has closed as too slow."""
        sample = 'tocsin_streams_closed_total{reason="slow"}'
        self.closed_as_slow += int(await asyncio.to_thread(self.hub.metric, sample))


def draw_limit(dice: random.Random, events: int) -> tuple[str, str]:
    """What bounds the history, to 2 s and so many events: who is away for longer has missed some for good."""
    return dice.choice(
        (
            ("--history-events", str(events)),
            ("--history-bytes", str(events * 300)),
            ("--history-age", "2"),
        )
    )


def figures(history: History, checker: Checker) -> dict[str, int]:
    """What happened, in numbers."""
    outcomes, subscribers = history.published.outcomes, history.subscribers
    connections = [each for subscriber in subscribers for each in subscriber.connections]
    gaps = Counter(each.gap.reason for each in connections if each.gap)
    untold = [c for c in connections if c.welcome and c.welcome.missed != 0 and not c.gap]
    return {
        "acknowledged": outcomes.count(ACKNOWLEDGED),
        "refused": outcomes.count(REFUSED),
        "unknown": outcomes.count(UNKNOWN),
        "unknown, received": checker.seen_unknown,
        "unknown, holes": checker.holes,
        "received": sum(len(each.seqs) for each in subscribers),
        "connections": len(connections),
        "resumed": sum(bool(each.welcome and each.requested) for each in connections),
        "restart": gaps["restart"],
        "evicted": gaps["evicted"],
        "cut between welcome and gap": len(untold),
    }


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(SHORT, id="short"),
        pytest.param(LONG, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(LONG_S + 240)]),
    ],
)
async def test_nothing_is_lost_repeated_or_out_of_order_and_each_gap_is_true(
    start_hub: StartHub, size: Size
) -> None:
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(2**32))
    print(f"\nSOAK_SEED={seed}, {size}")
    before, dice = _cpu_s(), random.Random(seed)
    limit = draw_limit(dice, int(2 * size.events_per_s))
    hub = start_hub(*FLAGS, *limit)
    soak = Soak(hub, size, dice)
    await soak.run()
    assert hub.stop() == 0
    used = [round(after - start, 1) for after, start in zip(_cpu_s(), before, strict=True)]
    print(f"CPU of the load and of the hubs: {used} s, {limit}, {dict(soak.incidents)}")

    started = time.process_time()
    checker = Checker(soak.history)
    faults = checker.check()
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"checked in {time.process_time() - started:.1f} s, {peak_mib} MiB at most")
    shown = figures(soak.history, checker) | {"closed as slow": soak.closed_as_slow}
    print(shown)
    faults += [odd for publisher in soak.publishers for odd in publisher.odd]
    assert not faults, f"{len(faults)} faults with SOAK_SEED={seed}:\n" + "\n".join(faults[:20])
    assert "Traceback" not in hub.log(), hub.log()
    assert shown["restart"], "nobody came back after a kill"


def _cpu_s() -> tuple[float, float]:
    """Seconds of CPU that this process has used, and its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time(), children.ru_utime + children.ru_stime
