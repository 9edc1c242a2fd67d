"""Reading a feed that goes on: pause, follow, filter and search, and a view kept in the address."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.dashboard import StartHub, Watch, open_dashboard
from tests.browser.load import Publisher
from tests.browser.states import publish_examples
from tests.hub_process import HubProcess


def test_pause_freezes_the_view_and_counts(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    hub.publish("notification", "before")
    expect(dashboard.event("before")).to_be_visible()
    dashboard.pause.click()
    expect(dashboard.summary).to_contain_text("Paused at")
    for number in range(3):
        hub.publish("notification", f"after {number}")
    expect(dashboard.pause).to_have_text(re.compile(r"Resume\s+\+3"))
    assert dashboard.messages() == ["before"]
    expect(dashboard.number("received")).to_have_text("4")  # it goes on receiving
    dashboard.pause.click()
    expect(dashboard.events).to_have_count(4)
    expect(dashboard.pause).to_have_text(re.compile(r"^\s*Pause\s*$"))


def test_paused_view_keeps_what_the_feed_lets_go(start_hub: StartHub, page: Page) -> None:
    hub = start_hub()
    dashboard = open_dashboard(page, hub)
    hub.publish("notification", "keep me")
    expect(dashboard.event("keep me")).to_be_visible()
    dashboard.pause.click()
    Publisher(hub.port, per_s=20_000, seconds=1.1, message="x").join()
    expect(dashboard.pause).to_contain_text("+22,000")
    expect(dashboard.event("keep me")).to_be_visible()
    dashboard.pause.click()
    expect(dashboard.event("keep me")).to_have_count(0)
    expect(dashboard.rows.first).to_contain_text("x 21999")


def test_scrolling_away_stops_following_and_a_pill_returns(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    publish_examples(hub, 10)
    expect(dashboard.number("received")).to_have_text("70")
    page.mouse.move(400, 600)
    page.mouse.wheel(0, 1200)
    expect(dashboard.rows.first).not_to_have_attribute("aria-posinset", "1")
    seen = dashboard.messages()
    hub.publish("notification", "one more")
    expect(dashboard.pill).to_have_text("1 new")
    assert dashboard.messages() == seen
    dashboard.pill.click()
    expect(dashboard.event("one more")).to_be_in_viewport(ratio=1)
    expect(dashboard.pill).to_be_hidden()
    hub.publish("notification", "and another")
    expect(dashboard.event("and another")).to_be_in_viewport(ratio=1)


def test_scrolling_back_to_the_top_follows_again(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    publish_examples(hub, 10)
    expect(dashboard.number("received")).to_have_text("70")
    page.mouse.move(400, 600)
    page.mouse.wheel(0, 1200)
    expect(dashboard.rows.first).not_to_have_attribute("aria-posinset", "1")
    hub.publish("notification", "one more")
    expect(dashboard.pill).to_be_visible()
    page.mouse.wheel(0, -5000)
    expect(dashboard.event("one more")).to_be_visible()
    expect(dashboard.pill).to_be_hidden()


def test_pill_tells_of_a_gap_among_the_new(start_hub: StartHub, page: Page) -> None:
    hub = start_hub("--history-events", "4")
    dashboard = open_dashboard(page, hub)
    publish_examples(hub)
    expect(dashboard.events).to_have_count(7)
    dashboard.disconnect.click()
    dashboard.wait_look("stopped")
    publish_examples(hub, 2)
    page.keyboard.press("j")
    dashboard.connect.evaluate("button => button.click()")  # the focus stays in the feed
    expect(dashboard.pill).to_have_text("4 new, with a gap")


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("q", "DISK almost", ["Disk almost full on srv-02: 91 % used"]),
        ("q", "espace", ["Alice a rejoint l’espace de travail"]),
        ("q", "4f2c91e", ["main@4f2c91e is in production"]),  # in its data too
        ("type", "data_updated", ["The catalogue was updated"]),
        ("topic", "shop/*", ["The catalogue was updated"]),
        ("topic", "ops/backup", ["Nightly backup finished in 4 min 12 s, 1,204 files"]),
        ("source", "api", None),
    ],
)
def test_filter_shows_what_matches(
    hub: HubProcess, page: Page, field: str, value: str, shown: list[str] | None
) -> None:
    dashboard = open_dashboard(page, hub)
    publish_examples(hub)
    expect(dashboard.events).to_have_count(7)
    control = page.locator(f"#filter [name={field}]")
    control.fill(value)
    expect(dashboard.events).to_have_count(7 if shown is None else len(shown))
    assert shown is None or dashboard.messages() == shown
    count = 7 if shown is None else len(shown)
    expect(dashboard.summary).to_have_text(f"{count} of 7 match{'es' if count == 1 else ''}")
    page.locator("[data-act=clear]").click()
    expect(dashboard.events).to_have_count(7)


def test_filter_holds_for_events_that_come(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub, "/?type=system_alert")
    publish_examples(hub)
    expect(dashboard.number("received")).to_have_text("7")
    expect(dashboard.events).to_have_count(1)
    hub.publish("system_alert", "one more")
    expect(dashboard.events).to_have_count(2)


def test_filter_works_while_paused(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    publish_examples(hub)
    expect(dashboard.events).to_have_count(7)
    dashboard.pause.click()
    publish_examples(hub, 2)
    expect(dashboard.pause).to_contain_text("+14")
    dashboard.search.fill("disk")
    expect(dashboard.events).to_have_count(1)
    expect(dashboard.pause).to_contain_text("+2")


def test_view_is_kept_in_the_address(
    hub: HubProcess, page: Page, new_page: Callable[..., Page]
) -> None:
    dashboard = open_dashboard(page, hub)
    publish_examples(hub)
    dashboard.search.fill("disk & co")
    page.locator("#filter [name=topic]").fill("ops/*")
    expect(page).to_have_url(re.compile(r"\?last=0&q=disk\+%26\+co&topic=ops%2F\*$"))
    page.reload()
    expect(dashboard.search).to_have_value("disk & co")
    other = open_dashboard(new_page(), hub, page.url.removeprefix(hub.url), past=True)
    expect(other.search).to_have_value("disk & co")
    expect(other.page.locator("#filter [name=topic]")).to_have_value("ops/*")


def test_strange_address_is_a_filter_like_any_other(hub: HubProcess, page: Page) -> None:
    query = (
        "/?q=" + "x" * 5000 + "&type=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&topic=%00%E2%80%AE"
    )
    dashboard = open_dashboard(page, hub, query)
    expect(dashboard.search).to_have_value("x" * 300)
    expect(page.locator("#filter [name=type]")).to_have_value("<img src=x onerror=alert(1)>")
    hub.publish("notification", "y")
    expect(dashboard.summary).to_have_text("0 of 1 match")
    expect(page.get_by_text("No event matches")).to_be_visible()


def test_gap_is_shown_whatever_the_filter(start_hub: StartHub, page: Page, watch: Watch) -> None:
    watch.allow_lost_hub()
    hub = start_hub("--retry", "1000")
    dashboard = open_dashboard(page, hub, "/?type=system_alert")
    hub.publish("notification", "before")
    expect(dashboard.number("received")).to_have_text("1")
    hub.restart()
    expect(dashboard.gaps).to_have_count(1)
    expect(dashboard.gaps.locator(".meta")).to_contain_text("Last event before: ")


def test_search_over_twenty_thousand_finds_all(start_hub: StartHub, page: Page) -> None:
    """That it takes at most 100 ms is asserted by `make soak`."""
    hub = start_hub()
    dashboard = open_dashboard(page, hub)
    Publisher(hub.port, per_s=20_000, seconds=1.1, message="Sauvegarde terminée").join()
    expect(dashboard.number("received")).to_have_text("22,000")
    dashboard.search.fill("termine 21234")
    # One has the number in its message, another one in its id.
    expect(dashboard.summary).to_have_text("2 of 20,000 match")
