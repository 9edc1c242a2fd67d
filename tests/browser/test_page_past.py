"""What the page shows of the past: it opens with the newest events, and goes back to the oldest that the hub keeps."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.dashboard import Dashboard, StartHub, Watch, open_dashboard
from tests.browser.load import smoothness, watch_frames
from tests.browser.states import publish_examples
from tests.hub_process import HubProcess

OPENING = 200
BATCH = 500


def publish(hub: HubProcess, count: int, type: str = "notification") -> None:
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        hub.publish_at_once(type, *(f"number {number}" for number in numbers))


def scroll_to_the_oldest(dashboard: Dashboard, count: int) -> None:
    """As fast as the past comes."""
    page = dashboard.page
    page.evaluate(
        """async (count) => {
          const list = document.querySelector("[role=feed]");
          const size = () => Number(list.querySelector("article")?.getAttribute("aria-setsize"));
          const isAtEnd = () => scrollY + innerHeight >= document.documentElement.scrollHeight - 1;
          const frame = () => new Promise(requestAnimationFrame);
          for (let n = 0; n < 20_000 && (size() < count || !isAtEnd()); n += 1) {
            scrollBy(0, 400);
            await frame();
          }
        }""",
        count,
    )


def test_page_opens_with_the_newest_events_and_no_toast(start_hub: StartHub, page: Page) -> None:
    hub = start_hub()
    publish(hub, 300)
    page.add_init_script(
        "window.toasts = 0; addEventListener('DOMContentLoaded', () =>"
        " new MutationObserver((all) => { for (const { addedNodes } of all) for (const node of addedNodes)"
        " if (!node.classList.contains('toast-more')) window.toasts += 1; })"
        ".observe(document.querySelector('.toasts'), { childList: true }))"
    )
    dashboard = open_dashboard(page, hub, past=True)
    expect(dashboard.summary).to_have_text(f"{OPENING} events")
    expect(dashboard.rows.nth(0)).to_contain_text("Live from here")
    expect(dashboard.rows.nth(1)).to_contain_text("number 299")
    expect(dashboard.number("received")).to_have_text("0")
    expect(dashboard.number("latency")).to_have_text("–")
    assert page.evaluate("window.toasts") == 0
    hub.publish("notification", "news")
    expect(dashboard.rows.nth(0)).to_contain_text("news")
    expect(dashboard.rows.nth(1)).to_contain_text("Live from here")
    expect(dashboard.number("received")).to_have_text("1")
    expect(dashboard.number("latency")).to_have_text(re.compile(r"^\d+ ms$"))


def test_button_at_the_end_loads_earlier_events_until_the_oldest(
    start_hub: StartHub, page: Page
) -> None:
    hub = start_hub()
    publish(hub, 800)
    dashboard = open_dashboard(page, hub, past=True)
    expect(dashboard.summary).to_have_text("200 events")
    earlier = page.get_by_role("button", name="Earlier events")
    earlier.dispatch_event("click")  # without scrolling to it, which would ask for the rest too
    expect(dashboard.summary).to_have_text("700 events")
    earlier.dispatch_event("click")
    expect(dashboard.summary).to_have_text("800 events")
    expect(page.get_by_text("This is the oldest event that the hub keeps.")).to_be_attached()
    expect(earlier).to_be_hidden()


def test_scrolling_goes_back_to_the_oldest_without_a_hole(start_hub: StartHub, page: Page) -> None:
    hub = start_hub()
    publish(hub, 2_500)
    dashboard = open_dashboard(page, hub, past=True)
    expect(dashboard.summary).to_have_text("200 events")
    scroll_to_the_oldest(dashboard, 2_501)
    shown = dashboard.messages()
    assert shown[-1] == "number 0"
    assert shown == [f"number {number}" for number in range(len(shown) - 1, -1, -1)]
    assert page.evaluate("document.querySelectorAll('*').length") <= 500
    dashboard.pill.click()
    expect(dashboard.rows.first).to_contain_text("Live from here")


@pytest.mark.parametrize(
    ("query", "found"), [("topic=rare/*", 1), ("type=rare", 1), ("q=%22needle+in%22", 1)]
)
def test_link_to_a_filter_shows_what_matches_however_far_back(
    start_hub: StartHub, page: Page, query: str, found: int
) -> None:
    hub = start_hub()
    hub.publish("rare", "a needle in the hay", topic="rare/one")
    publish(hub, 1_500)
    dashboard = open_dashboard(page, hub, f"/?{query}", past=True)
    expect(dashboard.events).to_have_count(found)
    expect(dashboard.event("a needle in the hay")).to_be_visible()
    expect(page.get_by_text("keeps nothing earlier that matches")).to_be_visible()


def test_reload_shows_the_same_and_says_where_it_is_live(start_hub: StartHub, page: Page) -> None:
    hub = start_hub()
    publish(hub, 30)
    dashboard = open_dashboard(page, hub, past=True)
    expect(dashboard.summary).to_have_text("30 events")
    hub.publish("notification", "live one")
    expect(dashboard.event("live one")).to_be_visible()
    page.reload()
    dashboard.wait_live()
    expect(dashboard.summary).to_have_text("31 events")
    expect(dashboard.rows.nth(0)).to_contain_text("Live from here")
    expect(dashboard.number("received")).to_have_text("0")
    dashboard.event("live one").click()
    expect(dashboard.detail).to_contain_text("not live: from the hub’s history")


def test_history_that_can_not_be_had_is_asked_for_again(
    start_hub: StartHub, page: Page, watch: Watch
) -> None:
    watch.allow(r"status of 503")
    hub = start_hub()
    publish(hub, 300)
    page.route("**/api/history*", lambda route: route.fulfill(status=503, body="{}"))
    dashboard = open_dashboard(page, hub, past=True)
    page.get_by_role("button", name="Earlier events").dispatch_event("click")
    expect(page.get_by_text("The hub gave no earlier events.")).to_be_visible()
    page.unroute("**/api/history*")
    page.get_by_role("button", name="Try again").click()
    expect(dashboard.summary).to_have_text("300 events")


def test_event_has_an_address_that_opens_it(start_hub: StartHub, page: Page) -> None:
    hub = start_hub()
    old = hub.publish("deploy", "far back", topic="ci/deploy")["id"]
    publish(hub, 400)
    dashboard = open_dashboard(page, hub, f"/?event={old}", past=True)
    expect(dashboard.detail).to_contain_text("far back")
    expect(dashboard.detail).to_contain_text(old)
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"/$"))
    dashboard.event("number 399").click()
    expect(page).to_have_url(re.compile(r"\?event=\d+-401$"))


@pytest.mark.parametrize("id", ["1-1", "%3Cscript%3E", "9999999999999-5"])
def test_address_of_an_event_that_is_gone_says_so(hub: HubProcess, page: Page, id: str) -> None:
    open_dashboard(page, hub, f"/?event={id}")
    expect(page.get_by_text("The hub no longer keeps this event")).to_be_visible()


def test_detail_walks_from_event_to_event_and_filters_for_those_like_it(
    start_hub: StartHub, page: Page
) -> None:
    hub = start_hub()
    publish_examples(hub)
    dashboard = open_dashboard(page, hub, past=True)
    dashboard.event("The catalogue was updated").click()
    detail = dashboard.detail
    page.keyboard.press("j")
    expect(detail).to_contain_text("Disk almost full")
    page.keyboard.press("k")
    page.keyboard.press("k")
    expect(detail).to_contain_text("Nightly backup")
    detail.get_by_role("button", name="Newer event").click()
    expect(detail).to_contain_text("is in production")
    detail.get_by_role("button", name="only this topic").click()
    expect(page).to_have_url(re.compile(r"topic=ci%2Fdeploy"))
    expect(dashboard.events).to_have_count(1)


def test_gaps_are_counted_and_jumped_to(start_hub: StartHub, page: Page) -> None:
    hub = start_hub("--history-events", "40")
    dashboard = open_dashboard(page, hub)
    for _ in range(2):
        publish(hub, 40)
        expect(dashboard.summary).to_have_text(re.compile(r"^\d+ events$"))
        dashboard.stop()
        publish(hub, 60)
        dashboard.connect.click()
        dashboard.wait_live()
    jump = page.get_by_role("button", name="2 gaps")
    expect(jump).to_be_visible()
    jump.click()
    expect(
        dashboard.gaps.filter(has=page.locator(":focus")).or_(page.locator("article:focus"))
    ).to_have_count(1)
    first = page.evaluate("document.activeElement.getAttribute('aria-posinset')")
    page.keyboard.press("g")
    second = page.evaluate("document.activeElement.getAttribute('aria-posinset')")
    page.keyboard.press("g")
    assert first != second
    assert page.evaluate("document.activeElement.getAttribute('aria-posinset')") == first
    assert page.evaluate("document.activeElement.dataset.kind") == "gap"


@pytest.mark.soak
def test_ten_thousand_events_of_the_past_are_scrolled_smoothly(
    start_hub: StartHub, page: Page
) -> None:
    hub = start_hub()
    publish(hub, 10_000)
    dashboard = open_dashboard(page, hub, past=True)
    expect(dashboard.summary).to_have_text("200 events")
    watch_frames(page)
    scroll_to_the_oldest(dashboard, 10_001)
    measured = smoothness(page)
    heap = page.evaluate("performance.memory.usedJSHeapSize") / 2**20
    print(f"\n10,000 events scrolled: {measured}, {heap:.0f} MiB of heap")
    assert dashboard.messages()[-1] == "number 0"
    assert measured.frames_per_s >= 55
    assert measured.p95_frame_ms <= 20
    assert max(measured.elements) <= 500
    assert heap < 100
