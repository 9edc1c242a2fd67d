"""What the page is useful for at work: details, copies, exports, notices, and being told while away."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.dashboard import StartHub, open_dashboard
from tests.browser.states import publish_examples
from tests.hub_process import HubProcess

DATA = {"quote": 'it\'s "$HOME" `id`', "list": [1, None, {"deep": True}], "text": "two\nlines"}


def copied(page: Page) -> str:
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


@pytest.fixture
def clipboard_page(page: Page) -> Page:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    return page


def test_detail_shows_every_field_and_the_data_as_text(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    answer = hub.publish("system_alert", "Disk full\nsecond line", topic="ops/disks", data=DATA)
    dashboard.events.first.click()
    detail = dashboard.detail
    expect(detail.locator(".badge")).to_have_text("system_alert")
    expect(detail.locator(".detail-message")).to_have_text("Disk full\nsecond line")
    for text in (answer["id"], "ops/disks", "api", "Published", "Arrived here"):
        expect(detail.locator(".detail-fields")).to_contain_text(text)
    tree = detail.locator(".tree")
    for key, text in (("quote", 'it\'s "$HOME" `id`'), ("text", "two\nlines")):
        expect(tree).to_contain_text(f"{key}: {json.dumps(text)}")
    expect(tree).to_contain_text("deep: true")


def test_detail_shows_a_long_message_whole(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    message = "word " * 8_000 + "end"
    hub.publish("notification", message)
    dashboard.events.first.click()
    expect(dashboard.detail.locator(".detail-message")).to_have_text(message)


@pytest.mark.parametrize("way", ["Escape", "button", "beside"])
def test_detail_closes_and_gives_the_focus_back(hub: HubProcess, page: Page, way: str) -> None:
    dashboard = open_dashboard(page, hub)
    hub.publish("notification", "Look")
    expect(dashboard.event("Look")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(dashboard.detail).to_be_visible()
    if way == "Escape":
        page.keyboard.press("Escape")
    elif way == "button":
        dashboard.detail.get_by_role("button", name="Close").click()
    else:
        page.mouse.click(100, 400)
    expect(dashboard.detail).to_be_hidden()
    expect(dashboard.event("Look")).to_be_focused()


def test_gap_has_a_detail_too(start_hub: StartHub, page: Page) -> None:
    hub = start_hub("--history-events", "3")
    dashboard = open_dashboard(page, hub)
    dashboard.disconnect.click()
    dashboard.wait_look("stopped")
    publish_examples(hub)
    dashboard.connect.click()
    dashboard.gaps.click()
    expect(dashboard.detail).to_contain_text("4 events are missing here")
    expect(dashboard.detail).to_contain_text("no longer has them")
    expect(dashboard.detail.locator(".tree")).to_contain_text("requested: ")
    expect(dashboard.detail.locator("[data-act=copy-curl]")).to_be_hidden()


def test_json_is_copied(hub: HubProcess, clipboard_page: Page) -> None:
    dashboard = open_dashboard(clipboard_page, hub)
    answer = hub.publish("system_alert", "hidden \u202e text", topic="ops/disks", data=DATA)
    dashboard.events.first.click()
    dashboard.detail.get_by_role("button", name="Copy as JSON").click()
    expect(dashboard.detail.get_by_text("Copied.")).to_be_visible()
    record = json.loads(copied(clipboard_page))
    assert (record["id"], record["data"]) == (answer["id"], DATA)
    assert record["message"] == "hidden \u202e text", "as it is, not as it is shown"


def test_copied_command_publishes_the_same_event(start_hub: StartHub, clipboard_page: Page) -> None:
    hub = start_hub()
    dashboard = open_dashboard(clipboard_page, hub)
    message = "it's $(touch /tmp/owned) `id` \\ \u202e"
    hub.publish("system_alert", message, topic="ops/disks", data=DATA)
    dashboard.events.first.click()
    dashboard.detail.get_by_role("button", name="Copy as curl").click()
    expect(dashboard.detail.get_by_text("Copied.")).to_be_visible()
    ran = subprocess.run(
        ["sh", "-c", copied(clipboard_page)], capture_output=True, timeout=20, check=True
    )
    assert json.loads(ran.stdout)["success"] is True
    first, second = hub.get("/api/history")["events"]
    for field in ("type", "topic"):
        assert first[field] == second[field]
    for field in ("message", "data"):
        assert first["data"][field] == second["data"][field]


def test_copying_works_where_the_page_has_no_clipboard_api(
    hub: HubProcess, clipboard_page: Page
) -> None:
    """On plain http:// to a machine of the local network."""
    page = clipboard_page
    page.add_init_script("navigator.clipboard.writeText = () => Promise.reject(new Error('no'))")
    dashboard = open_dashboard(page, hub)
    hub.publish("notification", "Copy me")
    dashboard.events.first.click()
    button = dashboard.detail.get_by_role("button", name="Copy as JSON")
    button.click()
    expect(dashboard.detail.get_by_text("Copied.")).to_be_visible()
    expect(button).to_be_focused()
    assert json.loads(copied(page))["message"] == "Copy me"


def exported(page: Page, name: str) -> str:
    page.locator(".menu summary").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=name, exact=True).click()
    assert re.fullmatch(rf"tocsin-[\dT-]+Z\.{name.lower()}", download.value.suggested_filename)
    return Path(download.value.path()).read_bytes().decode()


def test_filtered_view_is_exported_as_ndjson(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub, "/?topic=ops/*")
    publish_examples(hub)
    expect(dashboard.events).to_have_count(2)
    records = [json.loads(line) for line in exported(page, "NDJSON").splitlines()]
    assert [record["topic"] for record in records] == ["ops/disks", "ops/backup"]
    assert records[0]["data"] == {"used": 0.91}


def test_filtered_view_is_exported_as_csv(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub, "/?type=notification")
    hub.publish("notification", '=HYPERLINK("http://evil","click")')
    hub.publish("notification", 'plain, "quoted"\nline')
    hub.publish("system_alert", "not on view")
    expect(dashboard.number("received")).to_have_text("3")
    head, *rows = csv.reader(io.StringIO(exported(page, "CSV").removeprefix("\ufeff"), newline=""))
    assert head == ["id", "time", "type", "topic", "source", "count", "message", "data"]
    messages = [row[6] for row in rows]
    assert messages == ['\'=HYPERLINK("http://evil","click")', 'plain, "quoted"\nline']


def test_export_says_where_events_are_missing(start_hub: StartHub, page: Page) -> None:
    hub = start_hub("--history-events", "3")
    dashboard = open_dashboard(page, hub)
    dashboard.disconnect.click()
    dashboard.wait_look("stopped")
    publish_examples(hub)
    dashboard.connect.click()
    expect(dashboard.gaps).to_be_visible()
    first = json.loads(exported(page, "NDJSON").splitlines()[0])
    assert (first["type"], first["missed"]) == ("gap", 4)


def test_link_to_the_view_is_copied(hub: HubProcess, clipboard_page: Page) -> None:
    dashboard = open_dashboard(clipboard_page, hub, "/?q=disk")
    dashboard.menu.click()
    clipboard_page.get_by_role("button", name="Copy the link").click()
    expect(clipboard_page.get_by_text("Link copied.")).to_be_visible()
    assert copied(clipboard_page).endswith("/?q=disk&last=0")


# Headless Chromium shows no notices and grants no permission for them: what the page asks of the
# browser is recorded instead.
RECORD_NOTICES = """
window.notices = [];
window.asked = 0;
window.Notification = class extends EventTarget {
  static permission = localStorage.getItem("allowed") ?? "default";
  static async requestPermission() {
    window.asked += 1;
    localStorage.setItem("allowed", "granted");
    return (Notification.permission = "granted");
  }
  constructor(title, options) { super(); window.notices.push({ title, ...options }); }
};
document.hasFocus = () => false;
"""


def test_desktop_notice_is_asked_for_on_a_click_and_follows_its_rule(
    hub: HubProcess, page: Page
) -> None:
    page.add_init_script(RECORD_NOTICES)
    dashboard = open_dashboard(page, hub, "/?type=system_alert")
    hub.publish("system_alert", "too early")
    expect(dashboard.events).to_have_count(1)
    assert page.evaluate("[asked, notices.length]") == [0, 0]
    dashboard.menu.click()
    page.get_by_role("button", name="Desktop notices").click()
    expect(page.get_by_text("On for system_alert")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("[data-act=clear]").click()  # the rule stays what it was
    hub.publish("notification", "not this one")
    hub.publish("system_alert", "Disk \u202e full")
    expect(dashboard.events).to_have_count(3)
    page.wait_for_function("notices.length === 1")
    notice: dict[str, Any] = page.evaluate("notices[0]")
    assert (notice["title"], notice["body"]) == ("system_alert", "Disk ⟨U+202E⟩ full")
    hub.publish_at_once("system_alert", *(f"burst {number}" for number in range(20)))
    expect(dashboard.number("received")).to_have_text("23")
    assert page.evaluate("notices.length") == 1, "a burst is one notice"
    page.reload()
    dashboard.wait_live()
    dashboard.menu.click()
    page.get_by_role("button", name="Desktop notices", pressed=True).click()
    expect(page.get_by_role("button", name="Desktop notices", pressed=False)).to_be_visible()
    assert page.evaluate("asked") == 0


def test_denied_notices_are_explained(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    dashboard.menu.click()
    page.get_by_role("button", name="Desktop notices").click()
    expect(page.locator(".menu-rule")).to_have_text(re.compile("The browser does not allow it"))
    expect(page.get_by_role("button", name="Desktop notices")).to_have_attribute(
        "aria-pressed", "false"
    )


HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_hidden_tab_counts_in_its_title_and_marks_its_icon(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    expect(page).to_have_title("Tocsin")
    page.evaluate(HIDE, True)
    for _ in range(3):
        hub.publish("notification", "unseen")
    expect(page).to_have_title("(3) Tocsin")
    icon = page.locator("link[rel=icon]")
    expect(icon).to_have_attribute("href", re.compile("favicon-unseen.svg$"))
    page.evaluate(HIDE, False)
    expect(page).to_have_title("Tocsin")
    expect(icon).to_have_attribute("href", re.compile("favicon.svg$"))
    expect(dashboard.events).to_have_count(3)


def test_title_tells_of_trouble(start_hub: StartHub, page: Page, watch: Any) -> None:
    watch.allow_lost_hub()
    hub = start_hub("--retry", "60000")
    open_dashboard(page, hub)
    hub.kill()
    expect(page).to_have_title("Reconnecting · Tocsin")


def test_numbers_are_measured_and_explained(start_hub: StartHub, page: Page) -> None:
    dashboard = open_dashboard(page, start_hub())
    history = page.locator(".figure-history button")
    expect(history).to_have_text("0 of 10,000 kept")
    page.locator("#message").fill("one")
    dashboard.send.click()
    expect(dashboard.number("received")).to_have_text("1")
    expect(dashboard.number("latency")).to_have_text(re.compile(r"^[\d,]+ ms$"))
    rate = page.locator(".figure-rate button")
    expect(rate).to_contain_text(re.compile(r"^(0\.\d events|1 event)/s"))
    expect(history).to_have_text(re.compile(r"^1 of 10,000 kept, since \d\d:\d\d$"))
    line = page.locator(".spark-line").get_attribute("d") or ""
    assert line.count("L") == 59
    why = page.locator("#why-history")
    expect(why).to_be_hidden()
    history.hover()
    expect(why).to_be_visible()
    expect(why).to_contain_text("in memory: they are gone when it restarts")
    page.keyboard.press("Escape")
    expect(why).to_be_hidden()
    dashboard.stop()
    for name in ("clients", "client", "rate", "latency", "history"):
        expect(dashboard.number(name)).to_have_text("–")
    expect(history).to_have_text("– kept")


def test_each_figure_is_explained_on_focus(hub: HubProcess, new_page: Callable[..., Page]) -> None:
    page = new_page(width=1280)
    open_dashboard(page, hub)
    page.locator("[data-act=help]").focus()
    page.keyboard.press("Tab")  # the menu
    for name in ("received", "clients", "rate", "latency", "history"):
        page.keyboard.press("Tab")
        expect(page.locator(f"#why-{name}")).to_be_visible()
        expect(page.locator("[role=tooltip]:visible")).to_have_count(1)


def test_line_of_numbers_unfolds_on_a_narrow_screen(
    hub: HubProcess, new_page: Callable[..., Page]
) -> None:
    page = new_page(width=320, height=640)
    dashboard = open_dashboard(page, hub)
    expect(dashboard.number("clients")).to_be_visible()
    expect(dashboard.number("history")).to_be_hidden()
    page.locator("[data-act=unfold]").click()
    for name in ("received", "clients", "client", "rate", "latency", "history"):
        expect(dashboard.number(name)).to_be_visible()
    expect(page.get_by_text("All tabs of a browser are one.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
