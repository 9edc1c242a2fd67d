"""One stream for all tabs of a browser, whatever happens to any of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.conftest import NewPage
from tests.browser.listener import Listener
from tests.conftest import StartHub
from tests.hub_process import HubProcess, wait_until

TABS = 8


def clients(hub: HubProcess) -> int:
    number: int = hub.get("/api/stats")["clients"]
    return number


def open_tabs(new_page: NewPage, hub: HubProcess, count: int = TABS) -> list[Listener]:
    """So many tabs of one browser, live."""
    first = Listener(new_page(), hub.url)
    tabs = [first, *(Listener(new_page(beside=first.page), hub.url) for _ in range(count - 1))]
    for tab in tabs:
        tab.wait_phase("live")
    return tabs


def test_eight_tabs_are_one_client(start_hub: StartHub, new_page: NewPage) -> None:
    hub = start_hub()
    tabs = open_tabs(new_page, hub)
    assert clients(hub) == 1
    ids = [hub.publish()["id"] for _ in range(20)]
    for tab in tabs:
        tab.wait_for(*ids)
        assert tab.ids() == ids
        assert tab.get("state")["tabs"] == TABS
        assert tab.get("state")["shared"] is True


def test_closing_every_tab_leaves_no_client(start_hub: StartHub, new_page: NewPage) -> None:
    hub = start_hub()
    for tab in open_tabs(new_page, hub):
        tab.close()
    wait_until(lambda: clients(hub) == 0, 5, "no client")


@pytest.mark.parametrize("victim", [0, 3])
@pytest.mark.parametrize("end", [Listener.crash, Listener.close])
def test_end_of_a_tab_loses_no_event_in_the_others(
    start_hub: StartHub, new_page: NewPage, victim: int, end: Callable[[Listener], None]
) -> None:
    hub = start_hub()
    tabs = open_tabs(new_page, hub, 4)
    ids = [hub.publish()["id"] for _ in range(5)]
    end(tabs.pop(victim))
    ids += [hub.publish()["id"] for _ in range(5)]
    for tab in tabs:
        tab.wait_for(*ids)
        assert tab.ids() == ids
        wait_until(lambda tab=tab: tab.get("state")["tabs"] == 3, 10, "three tabs")  # type: ignore[misc]
    assert clients(hub) == 1
