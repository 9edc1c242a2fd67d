"""Pictures of every state at four widths, each in both themes and both languages, into `screenshots/`: to be looked at.

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
HEIGHTS = {320: 640, 768: 1024, 1280: 800, 1920: 1080}
"""By width. The first two are held in a hand: they are touched."""
TOUCHED = (320, 768)
LOOKS = (("en-GB", "light"), ("fr-FR", "dark"))
"""Every second width has the theme of the other language, so that both are seen in both."""
NO_TOASTS = "localStorage.setItem('tocsin.toasts', 'off')"  # what they cover is to be seen


def take_pictures(name: str, browser: Browser) -> None:
    started: list[HubProcess] = []

    def start_hub(*flags: str) -> HubProcess:
        started.append(HubProcess(*flags))
        return started[-1]

    try:
        for place, width in enumerate(HEIGHTS):
            for language, theme in LOOKS:
                other = "dark" if theme == "light" else "light"
                take_picture(
                    name, browser, width, language, other if place % 2 else theme, start_hub
                )
    finally:
        for hub in started:
            hub.close()


def take_picture(
    name: str,
    browser: Browser,
    width: int,
    language: str,
    theme: str,
    start_hub: Callable[..., HubProcess],
) -> None:
    context = browser.new_context(
        locale=language,
        viewport=ViewportSize(width=width, height=HEIGHTS[width]),
        has_touch=width in TOUCHED,
        reduced_motion="reduce",
        color_scheme="dark" if theme == "dark" else "light",
    )
    page = context.new_page()
    page.set_default_timeout(10_000)
    if name != "live":
        page.add_init_script(NO_TOASTS)
    with arranged(name, page, start_hub):
        picture(page, FOLDER / f"{name}-{width}-{theme}-{language[:2]}.png")
    context.close()


def take_readme_picture(browser: Browser) -> None:
    """A feed with a gap, severity and a form, in English."""
    hub = HubProcess("--history-events", "5")
    try:
        size = ViewportSize(width=1280, height=720)
        page = browser.new_page(locale="en-GB", viewport=size, reduced_motion="reduce")
        page.add_init_script(NO_TOASTS)
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
