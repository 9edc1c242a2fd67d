"""Pages of other origins in a real Chromium: they neither publish nor read, unless they are listed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.dashboard import Dashboard
from tests.browser.foreign_page import (
    EVIL,
    LISTED,
    MISDIRECTED,
    NOTHING,
    TRY_ALL,
    answered,
    foreign_page,
    published,
)
from tests.conftest import StartHub
from tests.patience import PATIENCE_S

OTHER_HOST = "hub.example"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for which two names are this machine's."""
    names = [f"MAP {name} 127.0.0.1" for name in (EVIL, OTHER_HOST)]
    flags = [*FLAGS, f"--host-resolver-rules={', '.join(names)}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_S * 1_000)
    yield page
    context.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", EVIL])
def test_page_from_elsewhere_publishes_and_reads_nothing(
    start_hub: StartHub, page: Page, host: str
) -> None:
    hub = start_hub("--canary", "0")
    with foreign_page() as port:
        page.goto(f"http://{host}:{port}/")
        assert page.evaluate(TRY_ALL, hub.url) == NOTHING
    assert published(hub) == 0
    assert answered(hub, 403) == 4  # the texts, the body without a type, the form


@pytest.mark.parametrize("host", ["127.0.0.1", EVIL])
def test_page_of_a_listed_origin_publishes_and_reads(
    start_hub: StartHub, page: Page, host: str
) -> None:
    with foreign_page() as port:
        hub = start_hub("--canary", "0", "--cors-origin", f"http://{host.upper()}:{port}")
        page.goto(f"http://{host}:{port}/")
        assert page.evaluate(TRY_ALL, hub.url) == LISTED
    assert published(hub) == 1


def test_page_whose_name_resolves_to_the_hub_gets_421(start_hub: StartHub, page: Page) -> None:
    hub = start_hub("--canary", "0")
    url = f"http://{EVIL}:{hub.port}"
    answer = page.goto(f"{url}/")
    assert answer
    assert answer.status == 421
    expect(page.get_by_text("--allowed-host")).to_be_visible()
    assert page.evaluate(TRY_ALL, url) == MISDIRECTED
    assert published(hub) == 0


def test_dashboard_at_another_host_name_works(start_hub: StartHub, page: Page) -> None:
    hub = start_hub("--canary", "0", "--allowed-host", OTHER_HOST)
    dashboard = Dashboard(page, hub)
    page.goto(f"http://{OTHER_HOST}:{hub.port}/")
    dashboard.wait_live()
    dashboard.message.fill("by another name")
    dashboard.send.click()
    expect(dashboard.event("by another name")).to_have_count(1)


def test_dashboard_says_what_a_refused_host_means(start_hub: StartHub, page: Page) -> None:
    """As after a restart without the setting, with the page still open."""
    hub = start_hub("--canary", "0", "--allowed-host", OTHER_HOST)
    dashboard = Dashboard(page, hub)
    page.goto(f"http://{OTHER_HOST}:{hub.port}/")
    dashboard.wait_live()
    hub.kill()
    start_hub("--canary", "0", port=hub.port)
    expect(page.locator(".status-reason")).to_contain_text("--allowed-host")
    dashboard.message.fill("to nobody")
    dashboard.send.click()
    expect(dashboard.error).to_contain_text("--allowed-host")
