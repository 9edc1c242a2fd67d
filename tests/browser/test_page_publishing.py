"""Publishing from the page: any type and topic, data, the command for it, and the first steps on an empty hub."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
from playwright.sync_api import Page, expect

from tests.browser.dashboard import Dashboard, StartHub, Watch, open_dashboard
from tests.hub_process import HubProcess
from tests.scripted_hub import Answer, on_stream


@pytest.fixture
def clipboard_page(page: Page) -> Page:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    return page


def test_newcomer_publishes_on_a_topic_of_their_own_and_filters_for_it(
    hub: HubProcess, page: Page
) -> None:
    dashboard = open_dashboard(page, hub)
    hub.publish("notification", "something else")
    page.locator("#type").fill("coffee.ready")
    page.locator("#topic").fill("kitchen/coffee")
    dashboard.message.fill("A fresh pot")
    page.locator(".form-data summary").click()
    data = page.locator("#publish-form [name=data]")
    data.fill('{"cups": ')
    expect(page.locator("#data-error")).to_have_text("Not a JSON object yet.")
    dashboard.send.click()
    expect(data).to_be_focused()
    data.fill('{"cups": 8}')
    expect(page.locator("#data-error")).to_be_hidden()
    dashboard.message.press("Control+Enter")
    row = dashboard.event("A fresh pot")
    expect(row.locator(".topic")).to_have_text("kitchen/coffee")
    topic = page.locator("#filter [name=topic]")
    topic.click()
    page.get_by_role("option", name="kitchen/coffee").click()
    expect(dashboard.events).to_have_count(1)
    row.click()
    expect(dashboard.detail.locator(".tree")).to_contain_text("cups: 8")


def test_names_are_chosen_by_the_keyboard(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    for name in ("build.failed", "build.passed", "deploy"):
        hub.publish(name, "x")
    expect(dashboard.number("received")).to_have_text("3")
    field = page.locator("#filter [name=type]")
    field.press_sequentially("dep")
    page.keyboard.press("ArrowDown")
    expect(field).to_have_attribute("aria-activedescendant", re.compile(r"^choices-\d+-0$"))
    page.keyboard.press("Enter")
    expect(field).to_have_value("deploy")
    expect(dashboard.events).to_have_count(1)
    field.press_sequentially(", pass")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(field).to_have_value("deploy, build.passed")
    expect(dashboard.events).to_have_count(2)
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("option")).to_have_count(0)


def test_hub_names_the_field_at_fault(hub: HubProcess, page: Page, watch: Watch) -> None:
    watch.allow(r"status of 4\d\d")
    dashboard = open_dashboard(page, hub)
    page.locator("#topic").fill("no spaces here")
    dashboard.message.fill("kept")
    dashboard.send.click()
    expect(page.locator("#topic")).to_be_focused()
    expect(page.locator("#topic")).to_have_attribute("aria-invalid", "true")
    expect(dashboard.error).to_contain_text("topic")
    expect(dashboard.message).to_have_value("kept")


def test_form_is_copied_as_a_command_that_publishes_the_same(
    hub: HubProcess, clipboard_page: Page
) -> None:
    page = clipboard_page
    dashboard = open_dashboard(page, hub)
    page.locator("#topic").fill("ops/disks")
    dashboard.message.fill("it's `full`")
    page.locator("[data-act=form-curl]").click()
    expect(page.locator(".form-result")).to_have_text("Copied.")
    command = page.evaluate("navigator.clipboard.readText()")
    ran = subprocess.run(["sh", "-c", command], capture_output=True, timeout=20, check=True)
    assert json.loads(ran.stdout)["topic"] == "ops/disks"
    expect(dashboard.event("it's `full`")).to_be_visible()


def test_empty_hub_teaches_how_to_publish(start_hub: StartHub, clipboard_page: Page) -> None:
    page = clipboard_page
    hub = start_hub()
    dashboard = open_dashboard(page, hub, past=True)
    expect(page.locator(".empty-curl")).to_contain_text(f"{hub.url}/api/notify")
    page.locator("[data-act=copy-first]").click()
    expect(page.locator(".empty-said")).to_have_text("Copied.")
    command = page.evaluate("navigator.clipboard.readText()")
    subprocess.run(["sh", "-c", command], capture_output=True, timeout=20, check=True)
    expect(dashboard.event("A test event from the dashboard")).to_be_visible()
    expect(page.locator(".empty")).to_be_hidden()


def test_test_event_is_sent_by_a_button(start_hub: StartHub, page: Page) -> None:
    dashboard = open_dashboard(page, start_hub(), past=True)
    page.get_by_role("button", name="Send a test event").click()
    expect(dashboard.event("A test event from the dashboard")).to_be_visible()


def test_empty_page_is_true_in_each_phase(start_hub: StartHub, page: Page, watch: Watch) -> None:
    watch.allow_lost_hub()
    hub = start_hub("--retry", "60000")
    dashboard = open_dashboard(page, hub, past=True)
    expect(page.locator(".empty")).to_contain_text("keeps none so far")
    dashboard.stop()
    expect(page.locator(".empty")).to_contain_text("Connect to receive events.")
    dashboard.connect.click()
    dashboard.wait_live()
    hub.kill()
    dashboard.wait_look("waiting")
    expect(page.locator(".empty")).to_contain_text("no connection to the hub at the moment")


def test_refusal_of_a_proxy_is_not_the_hubs_word(
    page: Page, watch: Watch, script_hub: object
) -> None:
    watch.allow(r"status of 502")
    answer = Answer(b"<h1>Bad gateway</h1>", 502, "text/html")
    dashboard = Dashboard(page, script_hub(on_stream(answer)))  # type: ignore[operator]
    dashboard.wait_look("refused")
    expect(dashboard.status).to_contain_text("Not the hub, but a proxy before it answered 502.")


def test_data_folds_and_unfolds(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    hub.publish("notification", "tree", data={"host": {"name": "srv-02"}})
    dashboard.events.first.click()
    tree = dashboard.detail.locator(".tree")
    name, fold = tree.get_by_text('"srv-02"'), tree.get_by_role("button", name="{1}").nth(1)
    expect(name).to_be_visible()
    fold.click()
    expect(name).to_be_hidden()
    expect(fold).to_have_attribute("aria-expanded", "false")
    fold.press("Enter")
    expect(name).to_be_visible()


@pytest.mark.parametrize("path", [".list[1]", '["a b"]'])
def test_path_in_the_data_is_copied(hub: HubProcess, clipboard_page: Page, path: str) -> None:
    page = clipboard_page
    dashboard = open_dashboard(page, hub)
    hub.publish("notification", "tree", data={"list": [1, "https://ci.example/7"], "a b": {}})
    dashboard.events.first.click()
    dashboard.detail.get_by_title(f"Copy the path {path}", exact=True).click()
    expect(dashboard.detail.locator(".detail-said")).to_have_text(f"Copied: {path}")
    assert page.evaluate("navigator.clipboard.readText()") == path
    expect(dashboard.detail.get_by_role("link")).to_have_attribute("href", "https://ci.example/7")
