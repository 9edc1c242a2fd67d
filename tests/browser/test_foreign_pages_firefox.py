"""The same in a real Firefox: pages of other origins neither publish nor read, unless they are listed."""

from __future__ import annotations

from tests.browser.firefox import firefox
from tests.browser.foreign_page import (
    EVIL,
    LISTED,
    MISDIRECTED,
    NOTHING,
    TRY_ALL,
    answered,
    foreign_page,
    published,
)
from tests.conftest import StartHub


async def test_pages_from_elsewhere_publish_and_read_nothing(start_hub: StartHub) -> None:
    async with firefox() as browser:
        for host in ("127.0.0.1", "localhost", EVIL):
            hub = start_hub("--canary", "0")
            with foreign_page() as port:
                await browser.goto(f"http://{host}:{port}/")
                assert await browser.evaluate(TRY_ALL, hub.url) == NOTHING
            assert published(hub) == 0
            assert answered(hub, 403) == 4  # the texts, the body without a type, the form


async def test_pages_of_listed_origins_publish_and_read(start_hub: StartHub) -> None:
    async with firefox() as browser:
        for host in ("127.0.0.1", EVIL):
            with foreign_page() as port:
                hub = start_hub("--canary", "0", "--cors-origin", f"http://{host}:{port}")
                await browser.goto(f"http://{host}:{port}/")
                assert await browser.evaluate(TRY_ALL, hub.url) == LISTED
            assert published(hub) == 1


async def test_page_whose_name_resolves_to_the_hub_gets_421(start_hub: StartHub) -> None:
    hub = start_hub("--canary", "0")
    url = f"http://{EVIL}:{hub.port}"
    async with firefox() as browser:
        await browser.goto(f"{url}/")
        assert await browser.evaluate(TRY_ALL, url) == MISDIRECTED
    assert published(hub) == 0
