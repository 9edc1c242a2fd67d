"""Subscribers on bad lines, checked as the soak's are: nothing is lost, repeated or out of order.

FAULTS_SECONDS is how long the long form takes, 120; the seed is printed, and SOAK_SEED repeats it.
"""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from tests.conftest import StartFaultProxy, StartHub
from tests.fault_proxy import NONE, FaultProxy, Faults
from tests.patience import PATIENCE_S
from tests.soak.checker import Checker
from tests.soak.history import History
from tests.soak.publishers import KINDS, Publisher
from tests.soak.subscribers import Reader, draw_asked

LONG_S = float(os.environ.get("FAULTS_SECONDS", "120"))
PUBLISHERS = 3
READERS = 30
EVENTS_PER_S = 600


def draw_faults(dice: random.Random) -> Faults:
    """What one connection suffers."""
    return dice.choice(
        (
            NONE,
            Faults(latency_s=dice.uniform(0, 0.3)),
            Faults(piece_bytes=dice.choice((1, 7, 1_000))),
            Faults(bytes_per_s=dice.uniform(5_000, 200_000), piece_bytes=2_000),
            Faults(cut_after=dice.randint(1, 100_000)),
            Faults(cut_after=dice.randint(1, 2_000), cut_with_reset=False),
        )
    )


async def let_happen(proxy: FaultProxy, dice: random.Random, seconds: float) -> None:
    """Now and then all lines are cut, or for a while carry nothing in one direction."""
    async with asyncio.timeout(seconds * 2):
        for _ in range(max(2, int(seconds / 4))):
            await asyncio.sleep(seconds / max(2, int(seconds / 4)))
            if dice.random() < 0.5:
                await asyncio.to_thread(proxy.cut)
                continue
            # What is lost on a line that lives on would be a hole that TCP can't make: the line dies of it.
            proxy.loses_answers = True
            await asyncio.sleep(dice.uniform(0, 0.5))
            await asyncio.to_thread(proxy.cut)


@pytest.mark.parametrize(
    "seconds",
    [4, pytest.param(LONG_S, marks=[pytest.mark.soak, pytest.mark.timeout(LONG_S + 120)])],
)
async def test_nothing_is_lost_repeated_or_out_of_order_on_bad_lines(
    start_hub: StartHub, fault_proxy: StartFaultProxy, seconds: float
) -> None:
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(2**32))
    print(f"\nSOAK_SEED={seed}")
    dice = random.Random(seed)
    hub = start_hub("--log-level", "warning", "--heartbeat", "0.5", "--slow-client-timeout", "2")
    of_lines = random.Random(dice.random())
    proxy = fault_proxy(hub.port, lambda target, number: draw_faults(of_lines))
    history, over = History(KINDS), asyncio.Event()
    publishers = [
        Publisher(n, history, hub.port, random.Random(dice.random()), EVENTS_PER_S / PUBLISHERS)
        for n in range(PUBLISHERS)
    ]
    readers = []
    for number in range(READERS):
        own = random.Random(dice.random())
        subscriber = history.subscriber(f"subscriber {number}", draw_asked(own, KINDS))
        readers.append(Reader(subscriber, proxy.port, own, history.published.newest))
    async with asyncio.TaskGroup() as group:
        for reader in readers:
            group.create_task(reader.churn(over.is_set))
        for publisher in publishers:
            group.create_task(publisher.publish_until(over.is_set))
        await let_happen(proxy, dice, seconds)
        over.set()
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(reader.read_up_to(None) for reader in readers))
    faults = Checker(history).check()
    received = sum(len(each.seqs) for each in history.subscribers)
    print(f"{len(history.published)} events, {received} received, {proxy.cuts} cuts")
    assert not faults, f"{len(faults)} faults with SOAK_SEED={seed}:\n" + "\n".join(faults[:20])
    assert received
    assert proxy.cuts
