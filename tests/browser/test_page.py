"""The dashboard in a real browser, before a real hub: what a person sees and does."""

import datetime
import http.client
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.dashboard import StartHub, Watch, open_dashboard
from tests.hub_process import HubProcess
from tests.patience import wait_until


def test_page_connects_by_itself_and_says_so(start_hub: StartHub, page: Page) -> None:
    dashboard = open_dashboard(page, start_hub())
    expect(dashboard.status).to_contain_text("Connected")
    expect(dashboard.status).to_contain_text("client 1")
    expect(page.get_by_text("No events yet")).to_be_visible()


def test_published_event_is_shown(start_hub: StartHub, page: Page) -> None:
    hub = start_hub()
    dashboard = open_dashboard(page, hub)
    hub.publish("system_alert", "Disk full", topic="ops/disks")
    expect(dashboard.event("Disk full")).to_be_visible()
    row = dashboard.event("Disk full")
    expect(row.locator(".badge")).to_have_text("system_alert")
    expect(row.locator(".topic")).to_have_text("ops/disks")
    expect(row.locator(".meta")).to_have_text("api · client 1")
    expect(row.locator("time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d\.\d{3}$"))
    expect(dashboard.number("received")).to_have_text("1")
    expect(page.get_by_text("No events yet")).to_be_hidden()


def test_simulated_events_arrive_with_their_count(start_hub: StartHub, page: Page) -> None:
    dashboard = open_dashboard(page, start_hub("--simulate", "0.2"))
    notes = dashboard.events.first.locator(".meta")
    expect(notes).to_contain_text("simulation")
    expect(notes).to_contain_text(re.compile(r"count \d"))


def test_default_topic_goes_without_saying(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    hub.publish("notification", "Plain")
    expect(dashboard.event("Plain").locator(".topic")).to_have_text("")


def test_unknown_event_type_is_shown(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    hub.publish("deploy.finished-2", "Version 7 is out")
    expect(dashboard.event("Version 7 is out").locator(".badge")).to_have_text("deploy.finished-2")


def test_newest_event_comes_first(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    for name in ("one", "two", "three"):
        hub.publish("notification", name)
    expect(dashboard.events).to_have_count(3)
    assert dashboard.messages() == ["three", "two", "one"]


def test_restart_of_the_hub_shows_a_gap(start_hub: StartHub, page: Page, watch: Watch) -> None:
    watch.allow_lost_hub()
    hub = start_hub("--retry", "1000")
    dashboard = open_dashboard(page, hub)
    hub.publish("notification", "before")
    expect(dashboard.event("before")).to_be_visible()
    hub.restart()
    expect(dashboard.gaps).to_have_count(1)
    expect(dashboard.gaps).to_contain_text("missing here")
    expect(dashboard.gaps).to_contain_text("The hub restarted")
    expect(page.locator("article[data-kind=welcome]").first).not_to_contain_text("nothing")
    hub.publish("notification", "after")
    expect(dashboard.event("after")).to_have_count(1)
    expect(dashboard.event("before")).to_have_count(1)


def test_gap_counts_what_left_the_history(start_hub: StartHub, page: Page) -> None:
    hub = start_hub("--history-events", "3")
    dashboard = open_dashboard(page, hub)
    dashboard.disconnect.click()
    dashboard.wait_look("stopped")
    for number in range(10):
        hub.publish("notification", f"event {number}")
    dashboard.connect.click()
    expect(dashboard.gaps).to_contain_text("7 events are missing here")
    expect(dashboard.gaps).to_contain_text("no longer has them")
    expect(dashboard.events).to_have_count(3)
    assert dashboard.messages() == ["event 9", "event 8", "event 7"]


def test_lost_hub_is_reported_with_a_countdown(
    start_hub: StartHub, page: Page, watch: Watch
) -> None:
    watch.allow_lost_hub()
    hub = start_hub("--retry", "60000")
    dashboard = open_dashboard(page, hub)
    hub.stop()
    dashboard.wait_look("waiting")
    expect(dashboard.status).to_contain_text("Reconnecting")
    expect(dashboard.disconnect).to_have_text("Stop")
    expect(dashboard.status).to_contain_text(re.compile(r"New try in \d+\ss"))
    expect(dashboard.number("clients")).to_have_text("–")


def test_page_tries_at_once_when_the_browser_is_back_online(
    start_hub: StartHub, page: Page, watch: Watch
) -> None:
    watch.allow_lost_hub()
    hub = start_hub("--retry", "60000")
    dashboard = open_dashboard(page, hub)
    hub.restart()
    dashboard.wait_look("waiting")
    page.evaluate("dispatchEvent(new Event('online'))")
    dashboard.wait_live()


def test_retry_button_tries_at_once(start_hub: StartHub, page: Page, watch: Watch) -> None:
    watch.allow_lost_hub()
    hub = start_hub("--retry", "60000")
    dashboard = open_dashboard(page, hub)
    hub.restart()
    dashboard.wait_look("waiting")
    expect(dashboard.connect).to_have_text("Retry now")
    dashboard.connect.click()
    dashboard.wait_live()


def test_connect_and_disconnect_buttons_follow_the_state(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    expect(dashboard.connect).to_be_disabled()
    expect(dashboard.disconnect).to_be_enabled()
    dashboard.disconnect.click()
    expect(dashboard.status).to_contain_text("You closed the stream")
    expect(dashboard.disconnect).to_be_disabled()
    expect(dashboard.connect).to_be_focused()
    dashboard.connect.click()
    dashboard.wait_live()
    expect(dashboard.disconnect).to_be_focused()


def test_events_published_while_disconnected_arrive_once_on_connect(
    hub: HubProcess, page: Page
) -> None:
    dashboard = open_dashboard(page, hub)
    hub.publish("notification", "first")
    expect(dashboard.event("first")).to_be_visible()
    dashboard.disconnect.click()
    dashboard.wait_look("stopped")
    hub.publish("notification", "second")
    hub.publish("notification", "third")
    dashboard.connect.click()
    expect(dashboard.events).to_have_count(3)
    assert dashboard.messages() == ["third", "second", "first"]
    expect(page.locator("article[data-kind=welcome]").first).to_contain_text("2 events")
    expect(dashboard.gaps).to_have_count(0)


def test_clients_are_counted_live(start_hub: StartHub, page: Page) -> None:
    hub = start_hub()
    dashboard = open_dashboard(page, hub)
    expect(dashboard.number("clients")).to_have_text("1")
    other = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=5)
    other.request("GET", "/events")
    other.getresponse().read1(1)
    expect(dashboard.number("clients")).to_have_text("2")
    other.close()
    expect(dashboard.number("clients")).to_have_text("1")


def test_form_publishes_and_clears(start_hub: StartHub, page: Page) -> None:
    dashboard = open_dashboard(page, start_hub())
    page.locator("#type").fill("data_updated")
    dashboard.message.fill("Prices changed")
    dashboard.send.click()
    expect(dashboard.event("Prices changed").locator(".badge")).to_have_text("data_updated")
    expect(dashboard.message).to_have_value("")
    expect(page.locator(".form-result")).to_have_text("Published, sent to one client.")


@pytest.mark.parametrize("nothing", ["", "  \n "])
def test_form_refuses_an_empty_message(hub: HubProcess, page: Page, nothing: str) -> None:
    dashboard = open_dashboard(page, hub)
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.method))
    dashboard.message.fill(nothing)
    dashboard.send.click()
    expect(dashboard.error).to_have_text("Write a message: it can’t be empty.")
    expect(dashboard.message).to_be_focused()
    expect(dashboard.message).to_have_attribute("aria-invalid", "true")
    assert "POST" not in posts
    dashboard.message.fill("something")
    expect(dashboard.error).to_be_hidden()


def test_form_shows_why_the_hub_refused(start_hub: StartHub, page: Page, watch: Watch) -> None:
    watch.allow(r"status of 413")
    dashboard = open_dashboard(page, start_hub())
    dashboard.message.fill("x" * 70_000)
    dashboard.send.click()
    expect(dashboard.error).to_have_text(re.compile("The hub refused the event: ."))
    expect(dashboard.message).to_have_value("x" * 70_000)


def test_form_keeps_the_message_when_the_hub_is_away(
    start_hub: StartHub, page: Page, watch: Watch
) -> None:
    watch.allow_lost_hub()
    hub = start_hub()
    dashboard = open_dashboard(page, hub)
    hub.stop()
    dashboard.message.fill("too late")
    dashboard.send.click()
    expect(dashboard.error).to_contain_text("can’t be reached")
    expect(dashboard.message).to_have_value("too late")


def test_keyboard_alone_publishes(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    for _ in range(40):
        page.keyboard.press("Tab")
        if dashboard.message.evaluate("(box) => box === document.activeElement"):
            break
    page.keyboard.type("by hand")
    page.keyboard.press("Control+Enter")
    expect(dashboard.event("by hand")).to_be_visible()


def test_page_down_and_up_walk_the_feed(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    for name in ("one", "two"):
        hub.publish("notification", name)
    expect(dashboard.events).to_have_count(2)
    dashboard.rows.first.focus()
    page.keyboard.press("PageDown")
    expect(dashboard.event("one")).to_be_focused()
    page.keyboard.press("PageUp")
    expect(dashboard.event("two")).to_be_focused()


def test_each_event_raises_a_toast_that_is_gone_after_three_seconds(
    hub: HubProcess, page: Page
) -> None:
    page.clock.install()
    dashboard = open_dashboard(page, hub)
    page.clock.pause_at(datetime.datetime.now() + datetime.timedelta(minutes=1))
    hub.publish("notification", "Look here")
    toast = dashboard.toasts.filter(has_text="Look here")
    step_ms = 20

    def appears() -> bool:
        page.clock.run_for(step_ms)
        return toast.count() > 0

    wait_until(appears, what="the toast")
    page.clock.run_for(3_000 - 2 * step_ms)
    expect(toast).to_be_visible()
    page.clock.run_for(1_000 + 2 * step_ms)
    expect(toast).to_have_count(0)


COUNT_TOASTS = """() => {
  const toasts = document.querySelector(".toasts");
  window.mostToasts = 0;
  new MutationObserver(() => {
    const shown = toasts.querySelectorAll(".toast:not([hidden])").length;
    window.mostToasts = Math.max(window.mostToasts, shown);
  }).observe(toasts, { childList: true, subtree: true, attributes: true });
}"""


def test_burst_raises_few_toasts(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    page.evaluate(COUNT_TOASTS)
    hub.publish_at_once("notification", *(f"burst {number}" for number in range(50)))
    expect(dashboard.number("received")).to_have_text("50")
    expect(page.locator(".toast-more")).to_be_visible()
    expect(dashboard.toasts.filter(has_text="burst 49")).to_have_count(1)
    expect(page.locator(".toast:visible")).to_have_count(0)
    assert 1 < page.evaluate("window.mostToasts") <= 4


def test_feed_is_bounded(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    hub.publish_at_once("notification", *(f"event {number}" for number in range(1_000)))
    expect(dashboard.number("received")).to_have_text("1,000")
    expect(dashboard.events.first).to_contain_text("event 999")
    expect(dashboard.rows.first).to_have_attribute("aria-setsize", "1001")  # the welcome is one
    expect(page.locator(".feed-summary")).to_have_text("1,000 events")
    assert dashboard.rows.count() <= 48


VISIBLE_TEXTS = """() => {
  const texts = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { parentElement: parent, textContent: text } = walker.currentNode;
    if (parent.checkVisibility() && /\\p{L}/u.test(text)) texts.add(text.trim());
  }
  for (const element of document.querySelectorAll("[aria-label], [placeholder]")) {
    texts.add(element.getAttribute("aria-label") ?? element.getAttribute("placeholder"));
  }
  return [...texts];
}"""
# The same in both languages: the name, what the stream calls things, and some words.
COMMON = {"Tocsin", "FR", "EN", "Français", "English", "Type", "Message", "client"}
COMMON |= {"Source", "Pause", "Actions"}
WIRE = {"user_joined", "connection", "gap", "notification", "Bonjour"}


def test_language_switch_changes_every_text(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    hub.publish("notification", "Bonjour")
    expect(dashboard.toasts.filter(has_text="Bonjour")).to_be_visible()
    dashboard.send.click()
    english = set(page.evaluate(VISIBLE_TEXTS))
    page.get_by_role("button", name="Français").click()
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    expect(dashboard.status).to_contain_text("Connecté")
    french = set(page.evaluate(VISIBLE_TEXTS))
    assert english & french <= COMMON | WIRE
    assert len(french) > 20


def test_language_follows_the_browser_and_the_switch_lasts(
    hub: HubProcess, new_page: Callable[..., Page]
) -> None:
    page = new_page(locale="fr-CA")
    dashboard = open_dashboard(page, hub)
    expect(page.get_by_role("heading", name="Événements")).to_be_visible()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Events")).to_be_visible()
    page.reload()
    dashboard.wait_live()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_theme_switch_lasts(hub: HubProcess, page: Page) -> None:
    open_dashboard(page, hub)
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Theme: automatic").click()
    page.get_by_role("button", name="Theme: light").click()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert page.evaluate(paper) != light
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()


@pytest.mark.parametrize("locale", ["fr-FR", "en-GB"])
def test_page_fits_a_narrow_screen(
    start_hub: StartHub, new_page: Callable[..., Page], watch: Watch, locale: str
) -> None:
    watch.allow_lost_hub()
    hub = start_hub("--retry", "60000")
    page = new_page(locale=locale, width=320, height=640)
    dashboard = open_dashboard(page, hub)
    hub.publish("a" * 64, "w" * 300, topic="t" * 200)
    hub.publish("notification", "ok")
    dashboard.open_form()
    dashboard.send.click()
    expect(dashboard.error).to_be_visible()
    page.keyboard.press("Escape")
    expect(dashboard.events).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    hub.stop()
    dashboard.wait_look("waiting")
    assert page.evaluate("document.documentElement.scrollWidth") == 320
