"""A real Chromium on the test's own loop: just enough to open a page and run a script in it, as firefox.py does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Page, async_playwright

from tests.browser.conftest import CHROMIUM, FLAGS


class Chromium:
    """One tab of a Chromium that `chromium` has started."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def goto(self, url: str) -> None:
        """Load the page at `url`."""
        await self._page.goto(url)

    async def evaluate(self, function: str, argument: str) -> Any:
        """What `function`, JavaScript's, comes to with `argument`, when what it promises has come."""
        return await self._page.evaluate(function, argument)


@asynccontextmanager
async def chromium() -> AsyncIterator[Chromium]:
    """A Chromium with a profile of its own; it ends with the block."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield Chromium(await browser.new_page())
        await browser.close()
