"""A hub on `sqlite:` that is killed under load again and again: clients resume and have lost nothing."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.listeners import Listener, PythonListener, with_httpx_sse, with_sseclient
from tests.conftest import StartHub
from tests.patience import PATIENCE_S, wait_until
from tests.process import begun_log
from tests.process.begun_log import begin
from tests.soak.checker import Checker
from tests.soak.history import Id, parse_id
from tests.soak.test_soak_history import FLAGS, Size, Soak, figures

SLOW = pytest.mark.timeout(300)
"""Each kill waits for a start, and other tests run at the same time."""


@pytest.fixture
def hub_python() -> None:
    """Forked: what is looked at is how it ends, and it starts fifty times."""


KEEP = {"quiet/1": 3, "quiet/2": 3, "news": 100, "orders/us": 5}
KEEPING = (
    *("--history-events", "100", "--window-events", "50"),
    *[word for topic, newest in KEEP.items() for word in ("--keep-newest", f"{topic}={newest}")],
)


class Kills(Soak):
    """A soak in which nothing happens to the hub but `kill -9`."""

    async def _let_happen(self) -> None:
        for _ in range(self.size.incidents):
            await asyncio.sleep(self.dice.uniform(0.05, 0.5))
            self.incidents["kill"] += 1
            self.hub.kill()
            await asyncio.to_thread(self.hub.restart)


def size(kills: int) -> Size:
    return Size(0, 30, 1_000, kills, 0)


def check_all_was_read(client: Listener, end: Id) -> None:
    """Whether a client that others wrote got every event from its first one to `end`, once and in order."""
    last = f"{end[0]}-{end[1]}"
    wait_until(lambda: client.seen and client.seen[-1][1] == last, what="the last event")
    client.stop()
    assert not client.of("gap")
    ids = [parse_id(id) for type, id, _ in client.seen if type not in ("connection", "busy")]
    assert ids == [(end[0], seq) for seq in range(ids[0][1], end[1] + 1)]


@pytest.mark.parametrize(
    ("size", "limits"),
    [
        pytest.param(size(17), (), marks=SLOW),
        # So small a history is trimmed all the time; who is away for long is told of the gap.
        pytest.param(size(3), ("--history-events", "2000", "--window-events", "2000"), marks=SLOW),
        pytest.param(size(3), KEEPING, marks=SLOW),
        pytest.param(size(200), (), marks=[pytest.mark.soak, pytest.mark.timeout(1_800)]),
    ],
    ids=["17 kills", "3 kills while it is trimmed", "3 kills while some stay", "200 kills"],
)
async def test_nothing_is_lost_repeated_out_of_order_or_told_to_be_lost(
    start_hub: StartHub, tmp_path: Path, size: Size, limits: tuple[str, ...]
) -> None:
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(2**32))
    # Nothing is evicted, and what left the window is read from the file. A window of all would be loaded at each start,
    # which with a million events takes 5 s of CPU and 1 GB.
    limits = limits or ("--history-events", "2000000", "--window-events", "1000")
    hub = start_hub(*FLAGS, "--journal", f"sqlite:{tmp_path}/journal.db", *limits)
    kills = Kills(hub, size, random.Random(seed))
    if limits == KEEPING:
        kills.history.keep_newest = KEEP
    urls = [f"{hub.url}/events"]
    # Those can't say what they lost, and with so small a history they do.
    libraries = () if limits == KEEPING else (with_httpx_sse, with_sseclient)
    others = [PythonListener(urls, library) for library in libraries]
    await kills.run()
    assert kills.history.end
    for other in others:
        await asyncio.to_thread(check_all_was_read, other, kills.history.end)
    assert hub.stop() == 0
    checker = Checker(kills.history)
    faults = checker.check() + [odd for publisher in kills.publishers for odd in publisher.odd]
    shown = figures(kills.history, checker)
    print(f"\nSOAK_SEED={seed}, {shown}")
    assert not faults, f"{len(faults)} faults with SOAK_SEED={seed}:\n" + "\n".join(faults[:20])
    assert "Traceback" not in hub.log(), hub.log()
    assert shown["restart"] == 0, "a log that goes on was told as another"
    if limits == KEEPING:
        assert shown["evicted"], "nobody lost anything"
    elif "2000" not in limits:
        assert shown["evicted"] == 0
    assert shown["acknowledged"] > size.incidents
    assert shown["resumed"] > size.incidents


def test_hub_that_is_killed_while_it_makes_its_file_starts_again(tmp_path: Path) -> None:
    kills = 0
    while True:
        path = tmp_path / f"{kills}.db"
        # Before its first write, its second, and so on: all else that it does lies between two of them.
        fault = f"inject=pwrite64:signal=KILL:when={kills + 1}"
        strace = ["strace", "-o", os.devnull, "-e", "trace=pwrite64", "-e", fault]
        make = [sys.executable, "-m", begun_log.__name__, str(path)]
        done = subprocess.run([*strace, *make], capture_output=True, timeout=PATIENCE_S)
        begin(path)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
    assert kills > 10
