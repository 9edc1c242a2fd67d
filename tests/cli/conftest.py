from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.cli.commands import Running
from tests.hub_process import HubProcess

StartCommand = Callable[..., Running]


@pytest.fixture(scope="module")
def hub() -> Iterator[HubProcess]:
    """A hub for the tests of a file; each uses topics of its own."""
    started = HubProcess("--canary", "0", "--retry", "1000")
    yield started
    started.close()


@pytest.fixture
def start(hub: HubProcess) -> Iterator[StartCommand]:
    """Start commands that go on: `start("tail", ...)`. All are ended."""
    started: list[Running] = []

    def begin(*arguments: str, env: dict[str, str] | None = None) -> Running:
        started.append(Running(*arguments, env={"TOCSIN_URL": hub.url} | (env or {})))
        return started[-1]

    yield begin
    for command in started:
        command.stop()
