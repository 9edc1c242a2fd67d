"""The page under load: it counts every event, and its document stays small.

How smooth it is is measured by `make soak`: a figure of speed depends on what else the machine does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.load import Publisher, smoothness, watch_frames

StartHub = Callable[..., Any]
MOST_ELEMENTS = 500


def test_burst_is_counted_in_full_by_a_document_of_constant_size(
    start_hub: StartHub, page: Page
) -> None:
    hub = start_hub()
    page.goto(hub.url)
    expect(page.locator(".status")).to_have_attribute("data-look", "live")
    warm_up = Publisher(hub.port, per_s=1000, seconds=0.5)
    warm_up.join()
    watch_frames(page)
    publisher = Publisher(hub.port, per_s=5000, seconds=4)
    publisher.join()
    sent = publisher.sent + warm_up.sent
    expect(page.locator("[data-number=received]")).to_have_text(f"{sent:,}")
    expect(page.locator("[role=feed] article").first).to_contain_text(f"x {publisher.sent - 1}")
    measured = smoothness(page)
    print(f"\n{sent} events: {measured}")
    assert max(measured.elements) <= MOST_ELEMENTS
    assert max(measured.elements) - min(measured.elements) <= 8  # toasts come and go


def test_page_lets_the_oldest_go_and_offers_them_again(start_hub: StartHub, page: Page) -> None:
    hub = start_hub()
    page.goto(hub.url)
    expect(page.locator(".status")).to_have_attribute("data-look", "live")
    Publisher(hub.port, per_s=20_000, seconds=1.1, message="x").join()
    expect(page.locator("[data-number=received]")).to_have_text("22,000")
    expect(page.locator(".feed-summary")).to_have_text("20,000 events")
    expect(page.locator("[data-act=earlier]")).to_have_text("Earlier events")
