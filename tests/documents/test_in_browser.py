"""What README.md and docs/ show for pages, run in a real Chromium, in a page of the hub's origin without a script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.access.keys import KeyFile
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.conftest import StartHub
from tests.documents.blocks import block
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S, wait_until


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Reader:
    """A page that runs a document's code; `said` is what it wrote on its console."""

    def __init__(self, browser: Browser, hub: HubProcess) -> None:
        self.said: list[str] = []
        self._hub = hub
        self._page: Page = browser.new_page()
        self._page.set_default_timeout(PATIENCE_S * 1_000)
        self._page.on("console", lambda message: self.said.append(message.text))
        self._page.goto(f"{hub.url}/healthz")

    def run(self, code: str, before: str = "") -> None:
        code = code.replace("http://localhost:3000", self._hub.url)
        self._page.evaluate(f"async () => {{ {before}; {code} }}")

    def wait_for(self, text: str) -> None:
        """Until the console says it; the page's own events come in meanwhile."""
        wait_until(lambda: self._page.evaluate("1") and any(text in each for each in self.said))

    def close(self) -> None:
        self._page.close()


def wait_for_streams(hub: HubProcess, count: int) -> None:
    wait_until(lambda: hub.metric("tocsin_clients") == count)


def test_stream_of_the_readme_shows_events_and_gaps(browser: Browser, start_hub: StartHub) -> None:
    hub = start_hub()
    reader = Reader(browser, hub)
    reader.run(block("README.md", "const events").text)
    wait_for_streams(hub, 1)
    event_id = hub.publish("system_alert", "Disk almost full", topic="ops/disks")["id"]
    reader.wait_for(event_id)
    assert "Disk almost full" in reader.said[-1]
    hub.restart()
    reader.wait_for("missed:")
    reader.close()


def test_stream_of_the_clients_page_shows_events(browser: Browser, start_hub: StartHub) -> None:
    hub = start_hub()
    reader = Reader(browser, hub)
    reader.run(block("docs/clients.md", "const events").text)
    wait_for_streams(hub, 1)
    reader.wait_for(hub.publish(message="paid", topic="orders/17")["id"])
    reader.close()


def test_ticket_opens_a_stream(browser: Browser, start_hub: StartHub, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path)
    keys.add("page", subscribe=("*",))
    hub = start_hub("--keys", keys.path)
    reader = Reader(browser, hub)
    given = f'const hub = "{hub.url}", token = "{keys.secrets["page"]}"'
    then = 'source.addEventListener("connection", () => console.log("connected"));'
    reader.run(block("docs/access.md", "const answer").text + then, before=given)
    reader.wait_for("connected")
    reader.close()
