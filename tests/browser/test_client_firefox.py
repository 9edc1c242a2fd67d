"""The JavaScript client in a real Firefox."""

from __future__ import annotations

import pytest

from tests.browser.firefox import firefox
from tests.conftest import StartHub

SHARE = """async (message) => {
  const { TocsinSource } = await import("/client/v1/tocsin.js");
  const sources = [new TocsinSource("/events"), new TocsinSource("/events")];
  const first = (source, type) => new Promise((resolve) => source.addEventListener(type, resolve, { once: true }));
  await Promise.all(sources.map((source) => first(source, "connection")));
  const events = Promise.all(sources.map((source) => first(source, "notification")));
  const { id, sentTo } = await sources[0].publish({ type: "notification", message });
  const messages = (await events).map(({ data, lastEventId }) => lastEventId === id && JSON.parse(data).message);
  return [messages, sources.map(({ state }) => state.shared), sentTo];
}"""


@pytest.mark.soak
async def test_firefox_shares_one_stream(start_hub: StartHub) -> None:
    hub = start_hub("--canary", "0")
    async with firefox() as browser:
        await browser.goto(hub.url + "/healthz")
        met = await browser.evaluate(SHARE, "bonjour")
    assert met == [["bonjour", "bonjour"], [True, True], 1]
