"""Two versions of Tocsin on one Redis, as while hubs are updated one after the other: rows of docs/reliability.md, F36.

The older one is 0.1.0, taken from this repository's history and installed into an environment of its own; or the one of
the environment whose Python OLDER_TOCSIN_PYTHON names. SOAK_SEED is that of tests/soak, and SOAK_SECONDS how long it
takes, 60.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
from redis import Redis

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import wait_until
from tests.raw import exchange, get, notice, post
from tests.redis.test_cluster import FLAGS, Cluster, Size
from tests.redis_process import RedisProcess

ROOT = Path(__file__).parents[2]
OLDER = "OLDER_TOCSIN_PYTHON"
OLDER_COMMIT = "8172f52"
SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
SIZE = Size(SECONDS, 6, 40, 600, 0, 0)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python that has the older version."""
    return os.environ.get(OLDER) or installed(tmp_path_factory.mktemp("older"), OLDER_COMMIT)


def installed(folder: Path, commit: str) -> str:
    """The Python of an environment in `folder` that has Tocsin as of `commit`."""
    source = folder / "source"
    source.mkdir()
    packed = subprocess.run(
        ["git", "archive", commit], cwd=ROOT, check=True, capture_output=True
    ).stdout
    subprocess.run(["tar", "-x"], cwd=source, check=True, input=packed)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", f"{source}[redis]"], check=True)
    return str(python)


@pytest.fixture
def hubs(redis: RedisProcess, older: str) -> Iterator[list[HubProcess]]:
    """The older version and this one, on one log."""
    flags = (*FLAGS, "--journal", redis.url)
    with ExitStack() as stack:
        found = []
        for python in (older, sys.executable):
            found.append(HubProcess(*flags, python=python))
            stack.callback(found[-1].close)
        yield found


class Rolling(Cluster):
    """Hubs that are restarted in turn: drained, killed, and as the other version."""

    async def _let_happen(self) -> None:
        """One restart after the other; the others serve meanwhile."""
        until = time.monotonic() + self.size.seconds
        versions = [hub.python for hub in self.hubs]
        for number in count():
            await asyncio.sleep(self.dice.uniform(0.5, 2))
            if time.monotonic() > until:
                return
            hub = self.hubs[number % len(self.hubs)]
            kind = self.dice.choice(("drain", "kill"))
            if number % 4 >= 2:
                hub.python = versions[hub.python == versions[0]]
                kind += ", and the other version"
            self.incidents[kind] += 1
            if kind.startswith("drain"):
                hub.signal(signal.SIGTERM)
                assert await asyncio.to_thread(hub.wait) == 0
            await asyncio.to_thread(hub.restart)


@pytest.mark.soak
@pytest.mark.timeout(2 * SECONDS + 240)
async def test_nothing_is_lost_while_two_versions_take_turns(
    hubs: list[HubProcess], redis: RedisProcess
) -> None:
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(2**32))
    print(f"\nSOAK_SEED={seed}, {SIZE}")
    rolling = Rolling(hubs, redis, SIZE, random.Random(seed))
    await rolling.run()

    rolling.check(seed)
    for hub in hubs:
        assert hub.stop() == 0
        assert "Traceback" not in hub.log(), hub.log()


@pytest.mark.soak
def test_what_one_version_publishes_the_other_reads_and_knows_again(
    hubs: list[HubProcess],
) -> None:
    for number, (hub, other) in enumerate((hubs, hubs[::-1])):
        key = f"Idempotency-Key: order-{number}"
        trace = f"traceparent: 00-{'1' * 32}-{'2' * 16}-01"
        body = notice(topic=f"t/{number}", message="héllo\u2028", data={"n": [1, None, "x"]})
        answers = [exchange(each.port, post(body, key, trace)).json for each in (hub, other)]
        assert answers[0]["id"] == answers[1]["id"]
        assert answers[1]["duplicate"]
        batch = json.dumps([json.loads(notice(topic=f"b/{n}")) for n in range(3)]).encode()
        exchange(hub.port, post(batch))
        assert_alike(hubs, 4 * (number + 1))


@pytest.mark.soak
def test_topic_that_this_version_ends_breaks_no_older_hub(hubs: list[HubProcess]) -> None:
    """One that knows of no ends goes on publishing on it, and this one gives what it publishes to its readers."""
    older, newer = hubs
    assert exchange(newer.port, post(notice(topic="t", final=True))).status == 200
    late = exchange(older.port, post(notice(topic="t"))).status
    assert late in (200, 409)
    assert exchange(newer.port, post(notice(topic="t"))).status == 409
    assert exchange(older.port, post(notice(type="end", topic="u"))).status in (200, 422)
    last = exchange(newer.port, post(notice(topic="v"))).json["id"]
    wait_until(lambda: page(older)[-1]["id"] == last, what="the older one has read it")
    assert [event["id"] for event in page(older)] == [event["id"] for event in page(newer)]
    assert "Traceback" not in older.log() + newer.log()


def test_log_of_an_older_version_is_read_and_goes_on(
    redis: RedisProcess, start_hub: StartHub
) -> None:
    """What Tocsin 0.1.0 left in Redis, of each kind of event that it could publish."""
    left = json.loads((Path(__file__).parent / "logs/0.1.0.json").read_text())
    with Redis(port=redis.port) as client:
        run = client.info("server")["run_id"]
        client.hset("{tocsin}:log", mapping={**left["log"], "run": run})
        for event in left["events"]:
            id, record = event.pop("id"), b64decode(event.pop("e"))
            client.xadd("{tocsin}:events", {**event, "e": record}, id)
    hub = start_hub(*FLAGS, "--journal", redis.url)
    shown = [(event["topic"], event["type"]) for event in page(hub)]
    assert shown == [
        ("shop/orders", "notification"),
        ("old", "end-"),
        ("old", "deploy"),
        ("t/1", "a"),
    ]
    assert page(hub)[0]["data"]["message"] == "Commande n° 17 payée\u2028"  # type: ignore[index]
    assert page(hub)[3]["topics"] == ["t/1", "t/2"]
    assert exchange(hub.port, post(notice())).json["id"] == f"{left['log']['epoch']}-5"
    assert len(page(hub)) == 5


def assert_alike(hubs: Sequence[HubProcess], count: int) -> None:
    """Both tell the same history of so many events; the newer one may say more of each."""
    wait_until(lambda: all(len(page(hub)) == count for hub in hubs), what="both have read it")
    for older, newer in zip(*map(page, hubs), strict=True):
        assert older == {name: newer[name] for name in older}


def page(hub: HubProcess) -> list[dict[str, object]]:
    """The history as this hub tells it."""
    events: list[dict[str, object]] = exchange(hub.port, get("/api/history?limit=1000")).json[
        "events"
    ]
    return events
