"""What the journal in a file does with a million events: filling it, starting with it, and reading it while others publish.

    python benchmarks/journal.py [--events N] [--folder FOLDER]

Figures are those of this disk; CPU is that of the whole process. A hub is started for the time until it listens.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from appending import append
from words import sentence

from tocsin.core.event import Draft
from tocsin.core.filters import EVERYTHING, Filter
from tocsin.eventlog.journal import SqliteJournal, Window
from tocsin.eventlog.journal.sqlite import Limits

BATCH = 1_000
WINDOW = Window(10_000, 64 * 2**20)
PIECE_EVENTS, PIECE_BYTES = 500, 65_536


def drafts() -> list[Draft]:
    """A batch of events on topics of their own, of which no two are alike: the file compresses what is."""
    dice = random.Random(1)
    return [
        Draft(
            "tick",
            b'{"message":"%s","data":{},"timestamp":"2026-01-01T00:00:00.%03dZ","source":"shop"}'
            % (sentence(dice).encode(), dice.randrange(1_000)),
            f"t/{number}",
        )
        for number in range(BATCH)
    ]


async def opened(path: Path, events: int) -> SqliteJournal:
    journal = SqliteJournal(path, Limits(events=events + 100_000))
    await journal.start(lambda events: None, lambda opening: None, WINDOW)
    return journal


async def fill(path: Path, events: int) -> None:
    journal = await opened(path, events)
    batch = drafts()
    begun, cpu = time.perf_counter(), time.process_time()
    for _ in range(events // BATCH):
        await append(journal, batch)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    await journal.stop()
    size = path.stat().st_size
    print(
        f"filled, {BATCH} at once: {events / seconds:,.0f} events/s, {cpu / events * 1e6:.2f} us of CPU an event"
    )
    data_bytes = statistics.mean(len(draft.data) for draft in batch)
    print(
        f"file: {size / 2**20:,.0f} MiB, {size / events:.0f} bytes an event that has {data_bytes:.0f} of data"
    )


def start(path: Path) -> None:
    command = [sys.executable, "-m", "tocsin", "serve", "--port", "0", "--journal"]
    for journal in ("memory:", f"sqlite:{path}"):
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            hub = subprocess.Popen(
                [*command, journal], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            assert hub.stdout
            hub.stdout.readline()
            times.append(time.perf_counter() - begun)
            hub.terminate()
            hub.wait()
        print(
            f"from the start to listening, {journal.partition(':')[0]}: {statistics.median(times):.2f} s"
        )


async def read(path: Path, events: int, back: int) -> None:
    journal = await opened(path, events)
    history = journal.history
    assert history
    for filter in (EVERYTHING, Filter(["t/77"]), Filter(["t/1*"]), Filter(["none"])):
        after, found = history.head - back, 0
        begun, cpu = time.perf_counter(), time.process_time()
        while after < history.head:
            page = await history.read(after, filter, max_events=PIECE_EVENTS, max_bytes=PIECE_BYTES)
            after, found = page.cursor, found + len(page.events)
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
        print(
            f"read {back:,} events back, {filter}: {found:,} found; looked at {back / seconds:,.0f} events/s,"
            f" {back / cpu:,.0f} a second of CPU"
        )
    await journal.stop()


async def publish_beside(path: Path, events: int, seconds: float) -> None:
    """How long single appends take, 500 a second, alone and beside a reader that never ends; in turn."""
    journal = await opened(path, events)
    history = journal.history
    assert history
    draft = drafts()[0]

    async def read_on() -> None:
        after = 0
        while True:
            page = await history.read(
                after, EVERYTHING, max_events=PIECE_EVENTS, max_bytes=PIECE_BYTES
            )
            after = page.cursor if page.cursor < history.head else 0

    times: dict[str, list[float]] = {"alone": [], "beside a reader": []}
    for turn in range(6):
        name = list(times)[turn % 2]
        reader = asyncio.create_task(read_on()) if turn % 2 else None
        end = time.perf_counter() + seconds / 6
        while time.perf_counter() < end:
            begun = time.perf_counter()
            await append(journal, [draft])
            times[name].append((time.perf_counter() - begun) * 1e3)
            await asyncio.sleep(0.002)
        if reader:
            reader.cancel()
    for name, each in times.items():
        p50, p99 = statistics.median(each), statistics.quantiles(each, n=100)[98]
        print(f"an append {name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    await journal.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the journal in a file.")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument(
        "--folder", type=Path, help="on the disk to measure; by default the temporary one"
    )
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    path = folder / "journal.db"
    try:
        asyncio.run(fill(path, options.events))
        start(path)
        asyncio.run(read(path, options.events, options.events // 2))
        asyncio.run(publish_beside(path, options.events, 12.0))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
