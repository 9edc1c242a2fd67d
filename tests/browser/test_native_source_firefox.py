"""The same in a real Firefox."""

from __future__ import annotations

from pathlib import Path

from tests.browser.firefox import firefox
from tests.browser.native_source import (
    FOLLOW,
    MET,
    WAYS,
    asked,
    cut_once_and_publish,
    native_hub,
    short_lived,
)


async def test_firefox_comes_back_loses_nothing_and_stops_when_the_token_has_ended(
    tmp_path: Path,
) -> None:
    with native_hub(tmp_path) as (hub, keys):
        async with firefox() as browser:
            await browser.goto(hub.url + "/healthz")
            for how in WAYS:
                thread = cut_once_and_publish(hub, keys)
                assert await browser.evaluate(FOLLOW, asked(how, keys.secrets["all"])) == MET
                thread.join()
                met = await browser.evaluate(FOLLOW, asked(how, short_lived()))
                assert met == ["connection", "busy:expired", "closed"]
