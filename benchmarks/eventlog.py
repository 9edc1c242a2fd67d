"""What the ring costs: appending, and reading what few filters let through. In CPU time, the least of some rounds.

    python benchmarks/eventlog.py                       # this checkout
    PYTHONPATH=OTHER/server python benchmarks/eventlog.py   # an older one, appending only

Other processes move the figures by a fifth: run old and new in turn.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator
from time import process_time
from typing import Any

try:
    from tocsin.core.filters import Filter
    from tocsin.eventlog.resume import resolve
    from tocsin.eventlog.ring import Entry, RingBuffer
except ImportError:  # before the rooms
    from tocsin.filters import Filter  # type: ignore[import-not-found,no-redef]
    from tocsin.resume import resolve  # type: ignore[import-not-found,no-redef]
    from tocsin.ring import Entry, RingBuffer  # type: ignore[import-not-found,no-redef]

ROUNDS = 4
BLOCK = b"x" * 200


def entries(count: int, topics: int, first: int = 1) -> list[Any]:
    chosen = random.Random(first)
    names = [f"t/{number:06d}" for number in range(topics)]
    return [
        Entry(seq, names[chosen.randrange(topics)], "tick", 0.0, BLOCK)
        for seq in range(first, first + count)
    ]


def filled(count: int, topics: int, limit: int) -> Any:
    ring = RingBuffer(1, max_events=limit, max_bytes=2**40)
    for batch in batches(entries(count, topics), 1_000):
        ring.append(batch, 0.0)
    return ring


def batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    return (items[first : first + size] for first in range(0, len(items), size))


def cost(work: Callable[..., object], *arguments: Any, **named: Any) -> float:
    """Seconds of CPU."""
    gc.collect()
    begun = process_time()
    work(*arguments, **named)
    return process_time() - begun


def append_cost(topics: int, batch: int, limit: int, count: int = 100_000) -> float:
    """Microseconds an event, in a ring that is full."""
    ring = filled(2 * limit, topics, limit)
    work = list(batches(entries(count, topics, ring.head + 1), batch))

    def append() -> None:
        for part in work:
            ring.append(part, 0.0)

    return cost(append) / count * 1e6


def measure_appends() -> None:
    for limit in (10_000, 200_000):
        for topics in (1, 1_000, 100_000):
            for batch in (1, 1_000):
                best = min(append_cost(topics, batch, limit) for _ in range(ROUNDS))
                print(
                    f"append: {limit} kept, {topics} topics, {batch} at once: {best:.2f} us an event"
                )


def drain(ring: Any, cursor: int, filter: Any) -> None:
    while cursor < ring.head:
        cursor = ring.read(cursor, filter, max_bytes=65_536).cursor


def measure_returns() -> None:
    """1,000 clients with a topic each, 9,000 events behind."""
    ring = filled(10_000, 1_000, 10_000)

    def come_back() -> None:
        for number in range(1_000):
            filter = Filter([f"t/{number:06d}"])
            drain(ring, resolve("1-1000", ring, filter).cursor, filter)

    print(f"1,000 returns with a topic each: {cost(come_back):.3f} s")


def measure_prefixes() -> None:
    """One return and one page with 100 prefixes."""
    for count in (10_000, 1_000_000):
        ring = filled(count, 10_000, count)
        for what, patterns in (
            ("nothing", [f"none/{number}*" for number in range(100)]),
            ("1,000 topics", [f"t/00{number:03d}*" for number in range(100)]),
            ("all topics", [f"t/0{number:02d}*" for number in range(100)]),
        ):
            filter = Filter(patterns)
            opening = cost(resolve, "earliest", ring, filter)
            piece = cost(ring.read, 0, filter, max_bytes=65_536)
            page = cost(ring.newest, filter, 1_000, max_bytes=2**22)
            loss = cost(ring.has_lost, 0, filter)
            print(
                f"100 prefixes that match {what}, {count} events on 10,000 topics:"
                f" resolve {opening * 1e3:.2f} ms, a piece {piece * 1e3:.2f} ms,"
                f" newest 1,000 {page * 1e3:.2f} ms, has_lost {loss * 1e3:.2f} ms"
            )


if __name__ == "__main__":
    measure_appends()
    if hasattr(RingBuffer, "load"):
        measure_returns()
        measure_prefixes()
