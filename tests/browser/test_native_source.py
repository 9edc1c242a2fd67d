"""A native EventSource with a ticket and with a session: reconnects lose nothing, and the end of a token is the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.access.keys import KeyFile
from tests.browser.conftest import NewPage
from tests.browser.dashboard import Watch
from tests.browser.native_source import (
    FOLLOW,
    MET,
    WAYS,
    asked,
    cut_once_and_publish,
    native_hub,
    short_lived,
)
from tests.hub_process import HubProcess


@pytest.fixture(scope="module")
def guarded_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HubProcess, KeyFile]]:
    with native_hub(tmp_path_factory.mktemp("keys")) as found:
        yield found


def follow(page: Page, hub: HubProcess, argument: str) -> Any:
    page.goto(hub.url + "/healthz")  # of the hub's origin, and with no script of its own
    return page.evaluate(FOLLOW, argument)


@pytest.mark.parametrize("how", WAYS)
def test_chromium_comes_back_and_loses_nothing(
    guarded_hub: tuple[HubProcess, KeyFile], page: Page, how: str
) -> None:
    hub, keys = guarded_hub
    thread = cut_once_and_publish(hub, keys)
    met = follow(page, hub, asked(how, keys.secrets["all"]))
    thread.join()
    assert met == MET


@pytest.mark.parametrize("how", WAYS)
def test_chromium_stops_when_the_token_has_ended(
    guarded_hub: tuple[HubProcess, KeyFile], new_page: NewPage, watch: Watch, how: str
) -> None:
    hub, _ = guarded_hub
    watch.allow(r"status of 401 \(Unauthorized\)")
    met = follow(new_page(), hub, asked(how, short_lived()))
    # The cookie of a session is gone by then: who says nothing may do nothing here.
    assert met == ["connection", "busy:expired", "closed"]
