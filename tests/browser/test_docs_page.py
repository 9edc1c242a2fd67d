"""The page /docs: read by everybody, at any width, by keys alone, without a script."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_page_access import COLOURS, EVERY_RULE, violations
from tests.hub_process import HubProcess


@pytest.mark.parametrize("width", [320, 768, 1280, 1920])
def test_docs_fit_every_width(hub: HubProcess, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{hub.url}/docs")
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_axe_finds_no_violation_in_the_docs(hub: HubProcess, page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 900})
    page.emulate_media(color_scheme="light")
    page.goto(f"{hub.url}/docs")
    assert violations(page, EVERY_RULE) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page, COLOURS) == []


def test_keys_lead_to_a_type_that_an_operation_names(hub: HubProcess, page: Page) -> None:
    page.goto(f"{hub.url}/docs/")  # a slash behind it is taken off
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the text")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.get_by_role("link", name="HistoryPage", exact=True).first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="HistoryPage")).to_be_in_viewport()
