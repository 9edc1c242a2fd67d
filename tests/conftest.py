from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.cutter import Cutter
from tests.hub_process import HubProcess

StartHub = Callable[..., HubProcess]


@pytest.fixture
def start_hub() -> Iterator[StartHub]:
    """Start real hubs: `start_hub(*flags, env=None, port=None)`. All of them are stopped."""
    started: list[HubProcess] = []

    def start(
        *flags: str, env: dict[str, str] | None = None, port: int | None = None
    ) -> HubProcess:
        hub = HubProcess(*flags, env=env, port=port)
        started.append(hub)
        return hub

    yield start
    for hub in started:
        hub.close()


@pytest.fixture
def cutter() -> Iterator[Callable[..., Cutter]]:
    """Start cutters: `cutter(port, cut_after=None)`."""
    made: list[Cutter] = []

    def make(port: int, cut_after: int | None = None) -> Cutter:
        made.append(Cutter(port, cut_after))
        return made[-1]

    yield make
    for each in made:
        each.close()
