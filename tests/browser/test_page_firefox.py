"""The dashboard in Firefox: what it opens with, what comes, how it reads, and that it never complains."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.firefox import Firefox, firefox
from tests.browser.load import Publisher
from tests.browser.test_page_past import publish
from tests.conftest import StartHub

# What is awaited is looked for each frame, and thrown with what is there instead.
BEGIN = """async () => {
  window.problems = [];
  for (const type of ["error", "unhandledrejection", "securitypolicyviolation"]) {
    addEventListener(type, (event) => window.problems.push(`${type}: ${event.message ?? event.reason ?? event.violatedDirective}`));
  }
  window.one = (selector) => document.querySelector(selector);
  window.until = async (what) => {
    for (let n = 0; n < 3_000; n += 1) {
      if (what()) return true;
      await new Promise((done) => setTimeout(done, 20));
    }
    throw new Error(`never: ${what}: ${document.body.innerText.slice(0, 400)}`);
  };
  return null;
}"""


async def do(browser: Firefox, script: str, argument: str = "") -> Any:
    return await browser.evaluate(f"async (it) => {{ {script}; return null; }}", argument)


async def test_page_works_in_firefox(start_hub: StartHub) -> None:
    hub = start_hub()
    publish(hub, 300)
    async with firefox() as browser:
        await browser.goto(hub.url)
        await browser.evaluate(BEGIN, "")
        await do(browser, "await until(() => /^200 /.test(one('.feed-summary').textContent))")
        assert await do(browser, "return one('.status').dataset.look") == "live"
        assert "299" in await do(
            browser, "return document.querySelectorAll('article')[1].innerText"
        )
        hub.publish(
            "alert",
            "news",
            topic="ops/disks",
            data={"severity": "error", "link": "https://a.example/"},
        )
        await do(browser, "await until(() => one('article').innerText.includes('news'))")
        assert await do(browser, "return one('article .severity').textContent") == "error"
        await do(browser, "one('article').click(); await until(() => one('#detail').open)")
        assert "https://a.example/" in await do(browser, "return one('#detail .tree').innerText")
        await do(
            browser,
            "one('#detail [data-only=topic]').click();"
            " await until(() => document.querySelectorAll('article[data-kind=event]').length === 1)",
        )
        await do(
            browser,
            "one('[data-act=clear]').click(); await until(() => /^201 events/.test(one('.feed-summary').textContent));"
            " one('[data-act=earlier]').click();"
            " await until(() => /^301 /.test(one('.feed-summary').textContent))",
        )
        await do(
            browser,
            "one('#message').value = 'from Firefox'; one('#topic').value = 'a/b';"
            " one('#publish-form').requestSubmit();"
            " await until(() => one('article').innerText.includes('from Firefox'))",
        )
        await do(browser, "one('[data-act=help]').click(); await until(() => one('#help').open)")
        assert await do(browser, "return window.problems") == []


SCROLL = """
  const list = one("[role=feed]");
  const size = () => Number(list.querySelector("article").getAttribute("aria-setsize"));
  const times = [];
  let last = performance.now();
  for (let n = 0; n < 20_000 && (size() < 10_001 || scrollY + innerHeight < document.documentElement.scrollHeight - 1); n += 1) {
    scrollBy(0, 400);
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - last);
    last = performance.now();
  }
  times.sort((a, b) => a - b);
  return { mean: times.reduce((sum, each) => sum + each, 0) / times.length, p95: times[Math.floor(times.length * 0.95)],
    oldest: [...list.querySelectorAll("article")].at(-1).innerText, elements: document.querySelectorAll("*").length };
"""


@pytest.mark.soak
async def test_ten_thousand_events_of_the_past_are_scrolled_smoothly_in_firefox(
    start_hub: StartHub,
) -> None:
    hub = start_hub()
    publish(hub, 10_000)
    async with firefox() as browser:
        await browser.goto(hub.url)
        await browser.evaluate(BEGIN, "")
        await do(browser, "await until(() => /^200 /.test(one('.feed-summary').textContent))")
        measured = await do(browser, SCROLL)
        print(f"\n10,000 events scrolled in Firefox: {measured}")
        assert "number 0" in measured["oldest"]
        assert measured["mean"] <= 1000 / 55
        assert measured["elements"] <= 500


@pytest.mark.soak
async def test_feed_is_smooth_under_load_in_firefox(start_hub: StartHub) -> None:
    hub = start_hub()
    async with firefox() as browser:
        await browser.goto(hub.url)
        await browser.evaluate(BEGIN, "")
        await do(browser, "await until(() => one('.status').dataset.look === 'live')")
        publisher = Publisher(hub.port, per_s=5_000, seconds=15)
        measured = await do(
            browser,
            """const times = []; let last = performance.now();
            while (times.reduce((sum, each) => sum + each, 0) < 14_000) {
              await new Promise(requestAnimationFrame);
              times.push(performance.now() - last); last = performance.now();
            }
            times.sort((a, b) => a - b);
            return { mean: times.reduce((sum, each) => sum + each, 0) / times.length, p95: times[Math.floor(times.length * 0.95)] };""",
        )
        publisher.join()
        sent = f"{publisher.sent:,}"
        await do(
            browser, "await until(() => one('[data-number=received]').textContent === it)", sent
        )
        print(f"\n{sent} events in Firefox: {measured}")
        assert measured["mean"] <= 1000 / 55
