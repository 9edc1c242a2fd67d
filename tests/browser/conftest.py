"""A real Chromium, and pages that fail their test for anything unexpected in the browser."""

import os
import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Dialog,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S

expect.set_options(timeout=PATIENCE_S * 1_000)

# Chromium without its windows: a page takes less than half the CPU time. /usr/bin has a shell script that
# stays in between, so a signal to it wouldn't reach the browser.
CHROMIUM = os.environ.get("CHROMIUM", "/usr/lib/chromium/chromium-headless-shell")
FLAGS = [
    "--no-sandbox",  # Chromium refuses to start as root with it
    "--disable-dev-shm-usage",  # a container may have little of it
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

# Chromium turns every report into a console error already; this names what it was.
REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
"""

NewPage = Callable[..., Page]


class Watch:
    """Collects what a page must not do: complain, open a dialog, or talk to another host."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.allowed: list[str] = []
        self.hosts: set[str] = set()
        self.most_hosts = 1

    def allow(self, pattern: str) -> None:
        """Expects console lines that match: the browser itself reports each failed request."""
        self.allowed.append(pattern)

    def allow_lost_hub(self) -> None:
        self.allow(
            r"net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|"
            r"INCOMPLETE_CHUNKED_ENCODING|SOCKET_NOT_CONNECTED)"
        )

    def over(self, page: Page) -> None:
        page.on("console", self.hear)
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("dialog", self.refuse)
        page.add_init_script(REPORT_VIOLATIONS)

    def hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console {message.type}: {message.text}")

    def refuse(self, dialog: Dialog) -> None:
        self.problems.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def unexpected(self) -> list[str]:
        return [
            problem
            for problem in self.problems
            if not any(re.search(pattern, problem) for pattern in self.allowed)
        ]


@pytest.fixture(scope="module")  # Playwright leaves a loop running: no other test may meet it
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def hub() -> Iterator[HubProcess]:
    """A hub with the default settings that a module's tests share: none may end it, or count its clients.

    Its log, its IDs and its history hold what earlier tests published; a page that is opened asks for none of it.
    """
    hub = HubProcess()
    yield hub
    hub.close()


@pytest.fixture
def lend_hub(hub: HubProcess, start_hub: StartHub) -> StartHub:
    """Like `start_hub`, but the module's hub where no flags are asked for."""
    return lambda *flags: start_hub(*flags) if flags else hub


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    assert watch.unexpected() == []
    assert len(watch.hosts) <= watch.most_hosts, f"requests to several hosts: {watch.hosts}"


@pytest.fixture
def new_page(chromium: Browser, watch: Watch) -> Iterator[NewPage]:
    """Makes watched pages, each in a browser profile of its own: `new_page(locale="fr-FR")`.

    `new_page(beside=page)` makes another tab of that page's profile: they share workers and storage.
    """
    contexts = []

    def make(
        *,
        locale: str = "en-GB",
        width: int = 1280,
        height: int = 900,
        beside: Page | None = None,
    ) -> Page:
        if beside is None:
            size = ViewportSize(width=width, height=height)
            context = chromium.new_context(locale=locale, viewport=size)
            contexts.append(context)
        else:
            context = beside.context
        page = context.new_page()
        page.set_default_timeout(PATIENCE_S * 1_000)
        watch.over(page)
        return page

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_page: NewPage) -> Page:
    return new_page()
