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
    """The page in the words of its reader."""

    def __init__(self, page: Page, hub: Served, path: str = "/") -> None:
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
        page.goto(hub.url + path)

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


def open_dashboard(page: Page, hub: HubProcess, path: str = "/") -> Dashboard:
    """The page, once it is live."""
    dashboard = Dashboard(page, hub, path)
    dashboard.wait_live()
    return dashboard
