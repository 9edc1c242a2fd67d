from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client.listener import AsyncListener, BlockingListener, Listen, Listener


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
