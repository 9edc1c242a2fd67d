"""The dashboard behind nginx with its defaults, which rewrites `Host` to the hub's own address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.dashboard import Dashboard
from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.proxy_process import DefaultNginx, proxy_process


@pytest.fixture
def hub(start_hub: StartHub) -> HubProcess:
    return start_hub("--canary", "0")


@pytest.fixture
def nginx(hub: HubProcess) -> Iterator[DefaultNginx]:
    with proxy_process(DefaultNginx, hub.port) as nginx:
        yield nginx


def test_pages_own_posts_and_stream_work(hub: HubProcess, nginx: DefaultNginx, page: Page) -> None:
    dashboard = Dashboard(page, nginx)
    dashboard.wait_live()
    dashboard.message.fill("through nginx")
    dashboard.send.click()
    expect(dashboard.event("through nginx")).to_have_count(1)
    hub.publish(message="past nginx")
    expect(dashboard.event("past nginx")).to_have_count(1)
