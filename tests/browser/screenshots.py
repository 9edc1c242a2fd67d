"""Pictures of every state, in both themes and at four widths, into `screenshots/`: to be looked at.

Run from the top folder: `python -m tests.browser.screenshots [state ...]`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.states import STATES, arranged
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


def picture(page: Page, path: Path) -> None:
    page.wait_for_timeout(100)
    page.screenshot(path=path)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name in sys.argv[1:] or STATES:
            take_pictures(name, browser)
            print(name)
        browser.close()


if __name__ == "__main__":
    main()
