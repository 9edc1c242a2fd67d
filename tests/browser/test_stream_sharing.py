"""One stream for all tabs of a browser, whatever happens to any of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import NewPage, Watch
from tests.browser.listener import Listener
from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import wait_until

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
    wait_until(lambda: clients(hub) == 0, what="no client")


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
        wait_until(lambda tab=tab: tab.get("state")["tabs"] == 3, what="three tabs")  # type: ignore[misc]
    assert clients(hub) == 1


def test_death_of_the_worker_is_noticed_where_there_are_no_locks(
    start_hub: StartHub, new_page: NewPage
) -> None:
    hub = start_hub()
    first = Listener(new_page(), hub.url)
    page = new_page(beside=first.page)
    page.add_init_script("delete Navigator.prototype.locks")  # as on plain http to another host
    second = Listener(page, hub.url)
    second.wait_phase("live")
    first.crash()
    id = hub.publish()["id"]
    second.wait_for(id)
    assert second.ids() == [id]


def test_worker_that_dies_while_the_hub_is_away_comes_back_with_it(
    start_hub: StartHub, new_page: NewPage, watch: Watch
) -> None:
    watch.allow_lost_hub()
    hub = start_hub("--retry", "1000")
    first = Listener(new_page(), hub.url)
    second = Listener(new_page(beside=first.page), hub.url)
    second.wait_phase("live")
    before = hub.publish()["id"]
    second.wait_for(before)
    hub.kill()
    first.crash()
    second.wait_phase("waiting")
    hub.restart()
    second.call("connect")
    second.wait_phase("live")
    after = hub.publish()["id"]
    second.wait_for(after)
    assert second.ids() == [before, after]
    assert [gap["reason"] for gap in second.data("gap")] == ["restart"]
    assert second.get("state")["shared"] is True


def test_tab_that_comes_back_from_the_cache_goes_on_where_it_was(
    start_hub: StartHub, page: Page
) -> None:
    hub = start_hub()
    tab = Listener(page, hub.url)
    tab.wait_phase("live")
    before = hub.publish()["id"]
    tab.wait_for(before)
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    meanwhile = hub.publish()["id"]
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    tab.wait_for(before, meanwhile)
    after = hub.publish()["id"]
    tab.wait_for(after)
    assert tab.ids() == [before, meanwhile, after]
    assert tab.get("state")["tabs"] == 1


def test_link_that_is_closed_leaves_the_stream_to_the_others(
    start_hub: StartHub, new_page: NewPage
) -> None:
    hub = start_hub()
    first, second = open_tabs(new_page, hub, 2)
    first.call("close")
    wait_until(lambda: second.get("state")["tabs"] == 1, what="one tab")
    id = hub.publish()["id"]
    second.wait_for(id)
    assert first.ids() == []
