"""The page for everybody: axe in every state, the keyboard alone, zoom, forced colours, reduced motion."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect

from tests.browser.dashboard import StartHub, Watch, open_dashboard
from tests.browser.states import STATES, arranged, publish_examples
from tests.hub_process import HubProcess

AXE = Axe()
EVERY_RULE = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PAUSE = {"fr": "Pause|Reprendre", "en": "Pause|Resume"}
COLOURS = ["color-contrast"]  # all that a theme can change


def violations(page: Page, rules: list[str]) -> list[str]:
    options = {"resultTypes": ["violations"], "runOnly": rules}
    answer = AXE.run(page, options=options).response
    return [
        f"{found['id']}: {node['target']} {node['failureSummary']}"
        for found in answer["violations"]
        for node in found["nodes"]
    ]


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_no_violation(lend_hub: StartHub, page: Page, watch: Watch, state: str) -> None:
    watch.allow_lost_hub()
    watch.allow(r"status of 401 \(Unauthorized\)")
    page.emulate_media(reduced_motion="reduce")
    with arranged(state, page, lend_hub):
        for width in (1280, 320):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme="light")
            assert violations(page, EVERY_RULE) == []
            page.emulate_media(color_scheme="dark")
            assert violations(page, COLOURS) == []


def test_keyboard_alone_reaches_everything(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    publish_examples(hub)
    expect(dashboard.events).to_have_count(7)
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "const e = document.activeElement;"
            " e.dataset.act || e.name || e.getAttribute('href') || e.tagName"
        )
        if name == "BODY":
            break
        reached.append(name)
    for name in ("#feed", "theme", "help", "disconnect", "pause", "q", "type", "source", "topic"):
        assert name in reached
    assert reached.count("ARTICLE") == 1, "one row stands for the feed: its keys do the rest"
    assert {"message", "SUMMARY"} <= set(reached)


def test_keys_walk_the_feed_open_an_event_and_come_back(start_hub: StartHub, page: Page) -> None:
    hub = start_hub("--canary", "0")  # of its own: where there is a past, End goes on into it
    dashboard = open_dashboard(page, hub)
    hub.publish_at_once("notification", *(f"number {number}" for number in range(100)))
    expect(dashboard.number("received")).to_have_text("100")
    page.keyboard.press("j")
    expect(dashboard.event("number 99")).to_be_focused()
    for _ in range(60):
        page.keyboard.press("ArrowDown")
    row = dashboard.event("number 39")
    expect(row).to_be_focused()
    expect(row).to_be_in_viewport(ratio=1)
    page.keyboard.press("Enter")
    expect(dashboard.detail).to_contain_text("number 39")
    page.keyboard.press("Escape")
    expect(dashboard.detail).to_be_hidden()
    expect(row).to_be_focused()
    page.keyboard.press("End")
    expect(dashboard.rows.last).to_be_focused()
    page.keyboard.press("Home")
    expect(dashboard.event("number 99")).to_be_focused()
    expect(dashboard.event("number 99")).to_be_in_viewport(ratio=1)


def test_feed_stands_still_while_the_keyboard_is_in_it(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    hub.publish("notification", "first")
    expect(dashboard.event("first")).to_be_visible()
    page.keyboard.press("j")
    hub.publish("notification", "second")
    expect(dashboard.pill).to_have_text("1 new")
    expect(dashboard.event("first")).to_be_focused()
    expect(dashboard.event("second")).to_have_count(0)
    page.keyboard.press("n")
    expect(dashboard.event("second")).to_be_visible()
    expect(dashboard.pill).to_be_hidden()


def test_single_key_shortcuts_can_be_switched_off(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    page.keyboard.press("?")
    page.get_by_role("checkbox").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    page.reload()
    dashboard.wait_live()
    page.keyboard.press("p")
    page.keyboard.press("?")
    expect(dashboard.pause).to_have_attribute("aria-pressed", "false")
    expect(dashboard.help).to_be_hidden()


def test_letters_typed_into_a_field_are_letters(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    page.keyboard.press("/")
    expect(dashboard.search).to_be_focused()
    page.keyboard.type("pnjk?/")
    expect(dashboard.search).to_have_value("pnjk?/")
    expect(dashboard.pause).to_have_attribute("aria-pressed", "false")


def test_feed_is_a_feed_of_articles_with_their_places(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    publish_examples(hub)
    expect(dashboard.events).to_have_count(7)
    places = dashboard.rows.evaluate_all(
        "rows => rows.map(row => [row.getAttribute('aria-posinset'), row.getAttribute('aria-setsize')])"
    )
    assert places == [[str(place), "8"] for place in range(1, 9)]
    expect(page.get_by_role("feed")).to_have_attribute("aria-busy", "false")
    assert page.locator("[role=log], [aria-live] article, [role=status] article").count() == 0


def test_screen_reader_is_told_of_events_now_and_then(hub: HubProcess, page: Page) -> None:
    open_dashboard(page, hub)
    page.evaluate(
        "window.said = []; new MutationObserver(() => said.push(announcer.textContent))"
        ".observe(announcer, { childList: true, characterData: true, subtree: true })"
    )
    hub.publish_at_once("notification", *(f"number {number}" for number in range(200)))
    expect(page.locator("[data-number=received]")).to_have_text("200")
    assert len(page.evaluate("window.said")) <= 2


CUT = """() => [...document.querySelectorAll("button, summary, input, textarea, a, h1, h2, h3, p, dt, dd, label, pre")]
  .filter((each) => each.checkVisibility() && !each.closest(".row, .unseen, .skip"))
  .filter((each) => {
    const { left, right } = each.getBoundingClientRect();
    const overflows = each.clientWidth > 0 && each.scrollWidth > each.clientWidth + 1 && !each.matches(".feed-rule");
    return left < -0.5 || right > innerWidth + 0.5 || overflows;
  })
  .map((each) => `${each.tagName} ${each.className} ${each.textContent}`)"""
"""What is cut at an edge or by its own box; rows may be, their detail has all."""

CUT_HINTS = """fields => fields.filter((field) => {
  const pen = document.createElement("canvas").getContext("2d");
  const { font, paddingLeft, paddingRight } = getComputedStyle(field);
  pen.font = font;
  const room = field.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
  return pen.measureText(field.placeholder).width > room;
}).map((field) => field.placeholder)"""

ROWS_IN_SIGHT = """() => [...document.querySelectorAll("article")].filter((row) => {
  const { top, bottom } = row.getBoundingClientRect();
  return top >= 0 && bottom <= innerHeight;
}).length"""

ENLARGED = [
    *("live", "paused", "gap", "reconnecting", "without_key"),
    *("detail", "help", "menu", "form_error", "unfolded"),
]


@pytest.mark.parametrize("state", ENLARGED)
def test_page_holds_at_two_and_four_hundred_percent_in_both_languages(
    lend_hub: StartHub, new_page: Callable[..., Page], watch: Watch, state: str
) -> None:
    """1,280 by 1,024 px at 200 % are 640 by 512, at 400 % 320 by 256 (WCAG 2.2, success criteria 1.4.4 and 1.4.10)."""
    watch.allow_lost_hub()
    watch.allow(r"status of 401 \(Unauthorized\)")
    page = new_page(width=640, height=512)
    page.emulate_media(reduced_motion="reduce")
    page.add_init_script("addEventListener('load', () => import('/js/words/fr.js'))")
    with arranged(state, page, lend_hub) as dashboard:
        for width, height in ((640, 512), (320, 256)):
            page.set_viewport_size({"width": width, "height": height})
            for language in ("fr", "en"):
                # By script, as a dialog may stand before the button.
                page.locator(f"[data-language={language}]").evaluate("button => button.click()")
                expect(page.locator("html")).to_have_attribute("lang", language)
                expect(dashboard.pause).to_have_accessible_name(re.compile(PAUSE[language]))
                assert page.evaluate("document.documentElement.scrollWidth") == width
                assert page.evaluate(CUT) == []
            if width == 640 and state in ("live", "paused", "gap", "reconnecting"):
                assert page.evaluate(ROWS_IN_SIGHT) >= 3


@pytest.mark.parametrize("locale", ["fr-FR", "en-GB"])
def test_nothing_is_cut_on_a_tablet(
    start_hub: StartHub, new_page: Callable[..., Page], locale: str
) -> None:
    page = new_page(width=768, height=1024, locale=locale)
    open_dashboard(page, start_hub(), "/?q=nowhere", past=True)
    empty = page.locator(".empty")
    expect(empty).to_be_visible()
    expect(page.locator("#filter [data-act=clear]")).to_be_visible()
    for edge in ("top", "right", "bottom", "left"):
        expect(empty).to_have_css(f"border-{edge}-width", "1px")
    assert page.evaluate(CUT) == []
    assert page.locator("#filter input").evaluate_all(CUT_HINTS) == []


def test_nothing_moves_for_who_asks_for_less_motion(hub: HubProcess, page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    dashboard = open_dashboard(page, hub)
    publish_examples(hub)
    expect(dashboard.events).to_have_count(7)
    dashboard.rows.first.click()
    assert page.evaluate("document.getAnimations().length") == 0


def test_forced_colours_keep_what_colours_said(hub: HubProcess, page: Page) -> None:
    page.emulate_media(forced_colors="active")
    dashboard = open_dashboard(page, hub)
    publish_examples(hub)
    expect(dashboard.events).to_have_count(7)
    hub.publish("notification", "Serious", data={"severity": "critical"})
    border = "element => getComputedStyle(element).borderTopWidth"
    assert page.locator(".severity").first.evaluate(border) == "1px"
    dot = "element => getComputedStyle(element, '::before').forcedColorAdjust"
    assert dashboard.rows.first.locator(".badge").evaluate(dot) == "none"
    expect(dashboard.status).to_contain_text("Connected")
