from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.fault_proxy import NONE, FaultProxy, Plan
from tests.hub_process import HubProcess
from tests.scripted_hub import Script, ScriptedHub

# No promise on wall time: on a busy machine making the inputs may take long.
settings.register_profile("tocsin", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tocsin")

LONGEST = (
    "browser/test_page_access.py",
    "clients/test_clients.py",
    "monitoring/test_losses.py",
    "monitoring/test_alerts.py",
    "monitoring/test_truth.py",
    "client/test_subscription.py",
    "proxies/test_doctor.py",
    "http/test_bounds.py",
    "process/test_processes.py",
    "browser/test_page_past.py",
    "monitoring/test_panels.py",
    "browser/test_stream_state.py",
    "browser/test_page.py",
    "browser/test_stream_sharing.py",
    "browser/test_page_reading.py",
    "browser/test_stream_loss.py",
    "browser/test_page_tools.py",
    "faults/test_faults.py",
    "client_js/test_source.py",
    "browser/test_native_source_firefox.py",
    "soak/test_soak_history.py",
    "process/test_package.py",
    "monitoring/test_rules.py",
)
"""The files that take longest, those first that wait most: each runs on one worker from its beginning to its end."""

SLOW = (
    "process",
    "redis",
    "proxies",
    "browser",
    "client_js",
    "faults",
    "clients",
    "monitoring",
    "model",
)
"""Then the folders whose tests start processes and wait for them, the slowest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what is slow, so that no worker is left with a long file when the others are done."""
    order = {name: place for place, name in enumerate((*LONGEST, *SLOW))}
    root = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(root)
        return order.get(str(path), order.get(path.parts[0], len(order)))

    items.sort(key=place)


StartHub = Callable[..., HubProcess]
StartFaultProxy = Callable[..., FaultProxy]


@pytest.fixture
def hub_python() -> str | None:
    """The interpreter that `start_hub` starts hubs with; None forks them (tests/forked.py)."""
    return None


@pytest.fixture
def start_hub(hub_python: str | None) -> Iterator[StartHub]:
    """Start real hubs: `start_hub(*flags, env=None, port=None)`. All of them are stopped."""
    started: list[HubProcess] = []

    def start(
        *flags: str, env: dict[str, str] | None = None, port: int | None = None
    ) -> HubProcess:
        hub = HubProcess(*flags, env=env, port=port, python=hub_python)
        started.append(hub)
        return hub

    yield start
    for hub in started:
        hub.close()


@pytest.fixture
def script_hub(start_hub: StartHub) -> Iterator[Callable[[Script], ScriptedHub]]:
    """Put a script before a real hub: `script_hub(script)`."""
    made: list[ScriptedHub] = []

    def make(script: Script) -> ScriptedHub:
        made.append(ScriptedHub(start_hub().port, script))
        return made[-1]

    yield make
    for hub in made:
        hub.close()


@pytest.fixture
def fault_proxy() -> Iterator[StartFaultProxy]:
    """Start proxies that do what bad networks do: `fault_proxy(port, plan)`. All of them are stopped."""
    with ExitStack() as stack:

        def start(port: int, plan: Plan = lambda target, number: NONE) -> FaultProxy:
            proxy = FaultProxy(port, plan)
            stack.callback(proxy.close)
            return proxy

        yield start
