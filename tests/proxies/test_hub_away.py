"""A hub that is away for longer than browsers wait, behind each proxy: a native EventSource comes back and loses nothing.

Behind a proxy's own 502 it would be closed for good: test_default_nginx_closes_an_event_source_for_good says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import Chromium, chromium
from tests.browser.firefox import Firefox, firefox
from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S
from tests.proxies.conftest import PROXIES, StartProxy
from tests.proxy_process import DefaultNginx, Haproxy, Nginx, proxy_process

Browser = Chromium | Firefox
Browse = Callable[[], AbstractAsyncContextManager[Browser]]

AWAY_S = 8
"""How long the hub is away in the long form: some times as long as browsers wait between two attempts."""

LISTEN = """(path) => {
  const source = new EventSource(path);
  const seen = { ids: [], gaps: [], welcomes: 0, errors: 0, source };
  source.onerror = () => { seen.errors += 1; };
  source.addEventListener("connection", () => { seen.welcomes += 1; });
  source.addEventListener("gap", (event) => { seen.gaps.push(JSON.parse(event.data).reason); });
  source.addEventListener("notification", (event) => { seen.ids.push(event.lastEventId); });
  globalThis.seen = seen;
  return true;
}"""
LOOK = (
    "() => ({ ...seen, source: undefined, closed: seen.source.readyState === EventSource.CLOSED })"
)


BROWSERS = {"chromium": chromium, "firefox": firefox}
QUICK = ((Nginx, firefox), (Haproxy, chromium))
"""What `make test` tries, in the short form."""
SHORT_AND_LONG = [
    pytest.param(
        kind,
        browse,
        away_s,
        id=f"{kind.__name__}-{name}-{away_s}",
        marks=[] if (kind, browse) in QUICK and not away_s else [pytest.mark.soak],
    )
    for kind in PROXIES
    for name, browse in BROWSERS.items()
    for away_s in (0, AWAY_S)
]


async def until(browser: Browser, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """What the page has seen, once the condition holds of it."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition(seen := await browser.evaluate(LOOK, "")):
            await asyncio.sleep(0.05)
    found: dict[str, Any] = seen
    return found


async def listen(browser: Browser, url: str) -> None:
    """Open a stream in a page of the proxy's own, and wait for the welcome."""
    await browser.goto(f"{url}/healthz")
    await browser.evaluate(LISTEN, "/events")
    await until(browser, lambda seen: seen["welcomes"])


async def stay_away(browser: Browser, hub: HubProcess, away_s: float) -> None:
    """Kill the hub, and start it again when the page has met its absence twice and `away_s` have passed."""
    errors = (await browser.evaluate(LOOK, ""))["errors"]
    hub.kill()
    await asyncio.gather(
        asyncio.sleep(away_s),
        until(browser, lambda seen: seen["errors"] >= errors + 2 or seen["closed"]),
    )
    await asyncio.to_thread(hub.restart)


async def seen_over_an_absence(
    browser: Browser, hub: HubProcess, url: str, away_s: float
) -> tuple[list[str], dict[str, Any]]:
    """What was published before, and soon after, the hub was away; and what the page saw."""
    await listen(browser, url)
    ids = [hub.publish()["id"]]
    await until(browser, lambda seen: seen["ids"])
    await stay_away(browser, hub, away_s)
    ids += [hub.publish()["id"] for _ in range(3)]
    await until(browser, lambda seen: seen["welcomes"] == 2)
    ids.append(hub.publish()["id"])
    return ids, await until(browser, lambda seen: ids[-1] in seen["ids"])


@pytest.mark.parametrize(("kind", "browse", "away_s"), SHORT_AND_LONG)
async def test_browser_comes_back_and_is_told_of_one_gap(
    start_hub: StartHub, start_proxy: StartProxy, browse: Browse, away_s: float
) -> None:
    hub = start_hub("--canary", "0", "--retry", "1000")
    async with browse() as browser:
        ids, seen = await seen_over_an_absence(browser, hub, start_proxy(hub.port).url, away_s)
    assert seen["ids"] == ids
    assert seen["gaps"] == ["restart"]


@pytest.mark.soak
@pytest.mark.parametrize("browse", BROWSERS.values(), ids=BROWSERS)
async def test_browser_comes_back_and_misses_nothing_with_a_journal(
    start_hub: StartHub, start_proxy: StartProxy, browse: Browse, tmp_path: Path
) -> None:
    journal = f"sqlite:{tmp_path / 'journal'}"
    hub = start_hub("--canary", "0", "--retry", "1000", "--journal", journal)
    async with browse() as browser:
        ids, seen = await seen_over_an_absence(browser, hub, start_proxy(hub.port).url, AWAY_S)
    assert seen["ids"] == ids
    assert seen["gaps"] == []


@pytest.mark.soak
@pytest.mark.parametrize("browse", BROWSERS.values(), ids=BROWSERS)
async def test_default_nginx_closes_an_event_source_for_good(
    start_hub: StartHub, browse: Browse
) -> None:
    hub = start_hub("--canary", "0", "--retry", "1000")
    with proxy_process(DefaultNginx, hub.port) as proxy:
        async with browse() as browser:
            await listen(browser, proxy.url)
            await stay_away(browser, hub, 0)
            assert (await browser.evaluate(LOOK, ""))["closed"]
