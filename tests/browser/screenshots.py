"""Pictures of every state, in both themes and at four widths, into `screenshots/`: to be looked at.

Run from the top folder: `python -m tests.browser.screenshots [state ...]`; with `readme` it makes the picture of the README.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.dashboard import open_dashboard
from tests.browser.states import STATES, arranged, publish_examples
from tests.hub_process import HubProcess

FOLDER = Path("screenshots")
WIDTHS = (320, 768, 1280, 1920)
THEMES = ("light", "dark")
TOASTS_GONE_MS = 5_000


def take_pictures(name: str, browser: Browser) -> None:
    started: list[HubProcess] = []

    def start_hub(*flags: str) -> HubProcess:
        started.append(HubProcess(*flags))
        return started[-1]

    try:
        for width in WIDTHS:
            take_width(name, browser, width, start_hub)
    finally:
        for hub in started:
            hub.close()


def take_width(
    name: str, browser: Browser, width: int, start_hub: Callable[..., HubProcess]
) -> None:
    size = ViewportSize(width=width, height=640 if width == 320 else 900)
    context = browser.new_context(locale="en-GB", viewport=size, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(10_000)
    with arranged(name, page, start_hub):
        if name != "live":
            page.wait_for_timeout(TOASTS_GONE_MS)  # what they cover is to be seen
        for theme in THEMES:
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            picture(page, FOLDER / f"{name}-{width}-{theme}.png")
    context.close()


def take_readme_picture(browser: Browser) -> None:
    """A feed with a gap, severity and a form, in English."""
    hub = HubProcess("--history-events", "5")
    try:
        size = ViewportSize(width=1280, height=720)
        page = browser.new_page(locale="en-GB", viewport=size, reduced_motion="reduce")
        page.add_init_script("localStorage.setItem('tocsin.toasts', 'off')")
        dashboard = open_dashboard(page, hub)
        publish_examples(hub)
        dashboard.stop()
        publish_examples(hub)
        dashboard.connect.click()
        dashboard.wait_live()
        hub.publish("user_joined", "Chloe joined the workspace")
        hub.publish(
            "system_alert",
            "Disk full on srv-02, writes are refused",
            topic="ops/disks",
            data={"severity": "critical"},
        )
        hub.publish("deploy.finished", "main@9b1c04d is in production", topic="ci/deploy")
        expect(dashboard.event("main@9b1c04d is in production")).to_be_visible()
        page.wait_for_timeout(1_500)
        picture(page, Path("docs/dashboard.png"))
    finally:
        hub.close()


def picture(page: Page, path: Path) -> None:
    page.wait_for_timeout(100)
    page.screenshot(path=path)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        if sys.argv[1:] == ["readme"]:
            take_readme_picture(browser)
            browser.close()
            return
        for name in sys.argv[1:] or STATES:
            take_pictures(name, browser)
            print(name)
        browser.close()


if __name__ == "__main__":
    main()
