"""The page on screens from a phone to a wall: what is in sight, how large, and in which order."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import NewPage
from tests.browser.dashboard import StartHub, Watch, open_dashboard
from tests.browser.states import publish_examples
from tests.hub_process import HubProcess

ROW_TOP = "document.querySelector('article').getBoundingClientRect().top"


@pytest.mark.parametrize(("width", "height", "most"), [(320, 640, 180), (768, 1024, 220)])
@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
def test_first_row_is_near_the_top(
    hub: HubProcess, new_page: NewPage, width: int, height: int, most: int, locale: str
) -> None:
    page = new_page(width=width, height=height, locale=locale)
    dashboard = open_dashboard(page, hub)
    publish_examples(hub)
    expect(dashboard.events.first).to_be_visible()
    assert page.evaluate(ROW_TOP) <= most
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_folded_filter_says_what_it_lets_through(hub: HubProcess, new_page: NewPage) -> None:
    page = new_page(width=320, height=640)
    open_dashboard(page, hub, "/?topic=ops/*&q=disk")
    rule = page.locator(".feed-rule")
    expect(rule).to_have_text("ops/*, “disk”")
    expect(rule).to_be_visible()
    page.locator("[data-act=filter]").click()
    expect(rule).to_be_hidden()  # its fields say it
    page.set_viewport_size({"width": 1280, "height": 640})
    expect(rule).to_be_hidden()


def test_rows_are_low_and_lower_when_compact_which_is_remembered(
    start_hub: StartHub, new_page: NewPage
) -> None:
    hub = start_hub()
    publish_examples(hub, 6)
    page = new_page(width=1280, height=800)
    dashboard = open_dashboard(page, hub, past=True)
    expect(dashboard.events.first).to_be_visible()
    height = "document.querySelector('article').offsetHeight"
    assert page.evaluate(height) <= 56
    page.get_by_role("button", name="Compact rows").click()
    page.wait_for_function(f"{height} <= 34")
    page.reload()
    dashboard.wait_live()
    expect(page.get_by_role("button", name="Compact rows")).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(dashboard.rows.nth(20)).to_be_attached()
    in_sight = page.evaluate(
        "[...document.querySelectorAll('article')].filter((row) => {"
        " const { top, bottom } = row.getBoundingClientRect();"
        " return top >= 0 && bottom <= innerHeight; }).length"
    )
    assert in_sight >= 16


SMALL_TARGETS = """() => [...document.querySelectorAll("button, input:not([type=checkbox]), textarea, summary, article")]
  .filter((each) => each.checkVisibility() && !each.closest("dialog:not([open])"))
  .map((each) => [each.dataset.act ?? each.name ?? each.className, each.getBoundingClientRect()])
  .filter(([, { width, height }]) => width > 1 && (height < 43.9 || width < 43.9))
  .map(([name, { width, height }]) => `${name} ${width}x${height}`)"""


@pytest.mark.parametrize("density", ["comfortable", "compact"])
def test_targets_are_large_enough_for_a_finger(
    hub: HubProcess, chromium: Browser, watch: Any, density: str
) -> None:
    context = chromium.new_context(
        viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, locale="en-GB"
    )
    page = context.new_page()
    watch.over(page)
    page.add_init_script(f"localStorage.setItem('tocsin.density', '{density}')")
    dashboard = open_dashboard(page, hub)
    publish_examples(hub)
    expect(dashboard.events.first).to_be_visible()
    page.locator("[data-act=filter]").click()
    assert page.evaluate(SMALL_TARGETS) == []
    dashboard.menu.click()
    assert page.evaluate(SMALL_TARGETS) == []
    dashboard.menu.click()
    dashboard.open_form()
    assert page.evaluate(SMALL_TARGETS) == []
    page.keyboard.press("Escape")
    dashboard.event("The catalogue was updated").click()
    expect(dashboard.detail).to_be_visible()
    assert page.evaluate(SMALL_TARGETS) == []
    context.close()


@pytest.mark.parametrize(("width", "height"), [(320, 640), (640, 400), (1280, 800)])
def test_status_stays_in_sight_when_scrolled(
    start_hub: StartHub, new_page: NewPage, watch: Watch, width: int, height: int
) -> None:
    watch.allow_lost_hub()
    hub = start_hub("--retry", "60000")
    publish_examples(hub, 10)
    page = new_page(width=width, height=height)
    dashboard = open_dashboard(page, hub, past=True)
    expect(dashboard.events.first).to_be_visible()
    page.evaluate("scrollTo(0, 1500)")
    expect(dashboard.status.get_by_text("Connected")).to_be_in_viewport(ratio=1)
    hub.kill()
    dashboard.wait_look("waiting")
    expect(dashboard.status.get_by_text("Reconnecting")).to_be_in_viewport(ratio=1)
    expect(dashboard.connect).to_be_in_viewport(ratio=1)
    expect(dashboard.disconnect).to_be_in_viewport(ratio=1)


def test_order_of_tabs_is_that_of_the_eye(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    publish_examples(hub)
    expect(dashboard.events.first).to_be_visible()
    order = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "document.activeElement.dataset.act || document.activeElement.id"
            " || document.activeElement.name || document.activeElement.tagName"
        )
        if name == "BODY":
            break
        order.append(name)
    wanted = ["disconnect", "help", "unfold", "pause", "q", "ARTICLE", "type", "topic", "message"]
    places = [len(order) - 1 - order[::-1].index(name) for name in wanted]
    assert places == sorted(places), order


def test_severity_outweighs_the_type(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    hub.publish("notification", "It burns", data={"severity": "critical"})
    hub.publish("notification", "It smells", data={"level": "warn"})
    hub.publish("system_alert", "It is fine", data={"severity": "info"})
    for message, level, word in (
        ("It burns", "error", "critical"),
        ("It smells", "warning", "warn"),
    ):
        row = dashboard.rows.filter(has_text=message)
        expect(row).to_have_attribute("data-level", level)
        expect(row.locator(".severity")).to_have_text(word)
    expect(dashboard.rows.filter(has_text="It is fine").locator(".severity")).to_have_count(0)


def test_text_from_right_to_left_stays_in_its_row(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    hub.publish(
        "notification", "قرص ممتلئ تقريبا على srv-02", topic="ops/disks", data={"نص": "قيمة"}
    )
    row = dashboard.events.first
    expect(row.locator(".message")).to_have_css("direction", "rtl")
    expect(row.locator(".topic")).to_have_css("direction", "ltr")
    row.click()
    expect(dashboard.detail.locator(".detail-message")).to_have_css("direction", "rtl")
    expect(dashboard.detail.locator(".tree")).to_contain_text('نص: "قيمة"')


def toast_boxes(page: Page, *selectors: str) -> list[str]:
    """Which of these a toast lies over."""
    return page.evaluate(  # type: ignore[no-any-return]
        """(selectors) => {
          const boxes = [...document.querySelectorAll(".toast")].map((each) => each.getBoundingClientRect());
          const meets = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
          return selectors.filter((selector) => [...document.querySelectorAll(selector)].some((each) =>
            each.checkVisibility() && boxes.some((box) => meets(box, each.getBoundingClientRect()))));
        }""",
        list(selectors),
    )


@pytest.mark.parametrize(("width", "height"), [(320, 640), (768, 800), (1280, 700), (1920, 900)])
def test_toasts_keep_clear_of_form_and_controls(
    hub: HubProcess, new_page: Callable[..., Page], width: int, height: int
) -> None:
    page = new_page(width=width, height=height)
    dashboard = open_dashboard(page, hub)
    publish_examples(hub)
    expect(dashboard.toasts.first).to_be_visible()
    assert toast_boxes(page, "#publish", ".bar", ".numbers", ".feed-head") == []


def test_toasts_follow_the_filter_open_their_event_and_can_be_closed_and_switched_off(
    hub: HubProcess, page: Page
) -> None:
    dashboard = open_dashboard(page, hub, "/?type=system_alert")
    hub.publish("notification", "not let through")
    hub.publish("system_alert", "let through")
    toast = dashboard.toasts.filter(has_text="let through")
    expect(toast).to_have_count(1)
    expect(toast).not_to_contain_text("not let through")
    toast.locator(".toast-open").click()
    expect(dashboard.detail).to_contain_text("let through")
    page.keyboard.press("Escape")
    hub.publish("system_alert", "close me")
    dashboard.toasts.filter(has_text="close me").locator(".toast-close").click()
    expect(dashboard.toasts.filter(has_text="close me")).to_have_count(0)
    dashboard.menu.click()
    page.get_by_role("button", name="Show toasts").click()
    hub.publish("system_alert", "silent")
    expect(dashboard.event("silent")).to_be_visible()
    expect(dashboard.toasts.filter(has_text="silent")).to_have_count(0)
    page.reload()
    dashboard.wait_live()
    hub.publish("system_alert", "silent too")
    expect(dashboard.event("silent too")).to_be_visible()
    expect(dashboard.toasts).to_have_count(0)


def test_help_tells_what_the_hub_is_and_leads_on(start_hub: StartHub, page: Page) -> None:
    dashboard = open_dashboard(page, start_hub("--simulate", "30"))
    page.keyboard.press("?")
    help = dashboard.help
    for text in ("Tocsin 0.", "in memory: they are gone", "asks for no key"):
        expect(help).to_contain_text(text)
    for name, path in (("API description", "/openapi.json"), ("Metrics", "/metrics")):
        expect(help.get_by_role("link", name=name)).to_have_attribute(
            "href", dashboard.page.url.partition("/?")[0] + path
        )
    for link in help.get_by_role("link").all():
        address = link.get_attribute("href") or ""
        assert page.request.get(address).status == 200, address


@pytest.mark.parametrize("seconds", ["30", "0"])
def test_note_tells_of_the_simulator_only_where_there_is_one(
    start_hub: StartHub, page: Page, seconds: str
) -> None:
    dashboard = open_dashboard(page, start_hub("--simulate", seconds))
    expect(dashboard.number("history")).not_to_have_text("–")
    expect(page.locator(".note")).to_have_text(
        re.compile("every 30 sec" if seconds == "30" else "^$")
    )
