from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.client.listener import AsyncListener, BlockingListener, Listen, Listener
from tests.hub_process import HubProcess

FLAGS = ("--retry", "1000", "--canary", "0")
HEARTBEAT_S = 0.5


@pytest.fixture(scope="module")
def hub() -> Iterator[HubProcess]:
    """One hub for all tests of a file that leave it as it is; each has a topic of its own."""
    started = HubProcess(*FLAGS, "--heartbeat", str(HEARTBEAT_S))
    yield started
    started.close()


@pytest.fixture
def topic() -> str:
    """That of one test."""
    return f"t/{uuid.uuid4().hex}"


@pytest.fixture(params=[AsyncListener, BlockingListener], ids=["async", "blocking"])
def listen(request: pytest.FixtureRequest) -> Iterator[Listen]:
    """Subscribe with either twin: `listen(url, topics=...)`. All are stopped."""
    opened: list[Listener] = []

    def start(url: str, **arguments: object) -> Listener:
        opened.append(request.param(url, **arguments))
        return opened[-1]

    yield start
    for listener in opened:
        listener.stop()
