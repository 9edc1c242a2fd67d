"""The dashboard in the words of its reader, for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from playwright.sync_api import Locator, Page, expect

from tests.hub_process import HubProcess

StartHub = Callable[..., HubProcess]


class Watch(Protocol):
    """What is watched on a page; see conftest."""

    def allow(self, pattern: str) -> None: ...
    def allow_lost_hub(self) -> None: ...


class Served(Protocol):
    """Whatever serves the page: a hub, or what is in front of it."""

    @property
    def url(self) -> str: ...


class Dashboard:
    """The page in the words of its reader.

    Args:
        past: whether it opens with the newest events, as for everybody; without them what earlier tests
            published on a shared hub isn't there.
    """

    def __init__(self, page: Page, hub: Served, path: str = "/", *, past: bool = False) -> None:
        self.page = page
        self.status = page.locator(".status")
        self.connect = page.locator("[data-act=connect]")
        self.disconnect = page.locator("[data-act=disconnect]")
        self.rows = page.locator("[role=feed] article")
        self.events = page.locator("article[data-kind=event]")
        self.gaps = page.locator("article[data-kind=gap]")
        self.toasts = page.locator(".toast:not(.toast-more):visible")
        self.message = page.locator("#message")
        self.send = page.locator("#publish-form [type=submit]")
        self.error = page.locator("#message-error")
        self.summary = page.locator(".feed-summary")
        self.pause = page.locator("[data-act=pause]")
        self.pill = page.locator("[data-act=follow]")
        self.search = page.locator("#filter [name=q]")
        self.detail = page.locator("#detail")
        self.help = page.locator("#help")
        self.menu = page.locator(".menu summary")
        if not past:
            path += ("&" if "?" in path else "?") + "last=0"
        page.goto(hub.url + path)

    @property
    def is_wide(self) -> bool:
        """Whether the form stands open beside the feed."""
        return (self.page.viewport_size or {"width": 0})["width"] >= 960

    def stop(self) -> None:
        """Press the button that disconnects; on a narrow screen it is in the menu."""
        if not self.disconnect.is_visible():
            self.menu.click()
        self.disconnect.click()
        self.wait_look("stopped")

    def open_form(self) -> None:
        """Have the form in sight, whatever the width."""
        if not self.message.is_visible():
            self.page.locator("[data-act=compose]").click()

    def number(self, name: str) -> Locator:
        return self.page.locator(f"[data-number={name}]")

    def event(self, message: str) -> Locator:
        return self.events.filter(has=self.page.get_by_text(message, exact=True))

    def messages(self) -> list[str]:
        """The message of each event in the feed, newest first."""
        return self.events.locator(".message").all_text_contents()

    def wait_live(self) -> None:
        self.wait_look("live")

    def wait_look(self, look: str) -> None:
        expect(self.status).to_have_attribute("data-look", look)


def open_dashboard(
    page: Page, hub: HubProcess, path: str = "/", *, past: bool = False
) -> Dashboard:
    """The page, once it is live."""
    dashboard = Dashboard(page, hub, path, past=past)
    dashboard.wait_live()
    return dashboard
