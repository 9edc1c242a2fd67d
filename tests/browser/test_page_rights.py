"""The page and rights: it takes a key, keeps it for the tab, and says what it may not do."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.access.keys import bearer
from tests.browser.conftest import NewPage
from tests.browser.dashboard import Dashboard, StartHub, Watch, open_dashboard
from tests.browser.states import give_key, guarded
from tests.hub_process import HubProcess
from tests.raw import exchange, notice, post

UNAUTHORIZED = r"status of 401 \(Unauthorized\)"


def publish(hub: HubProcess, key: str, topic: str, message: str) -> None:
    assert exchange(hub.port, post(notice(topic=topic, message=message), bearer(key))).status == 200


def open_access(page: Page) -> None:
    page.locator(".menu summary").click()
    page.locator("[data-act=access]").click()


def test_page_without_a_key_is_told_why_and_takes_one_by_the_keyboard(
    start_hub: StartHub, page: Page, watch: Watch
) -> None:
    watch.allow(UNAUTHORIZED)
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    with guarded(start_hub) as (hub, keys):
        dashboard = Dashboard(page, hub)
        dashboard.wait_look("refused")
        expect(dashboard.status).to_contain_text("401")
        expect(dashboard.send).to_be_disabled()
        page.locator("[data-act=give-key]").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#key")).to_be_focused()
        expect(page.locator("#access")).to_contain_text("You may read nothing.")
        page.keyboard.type("not a key")
        page.keyboard.press("Enter")
        expect(page.locator("#access .form-error")).to_contain_text("no key")
        page.locator("#key").fill(keys.secrets["all"])
        page.keyboard.press("Enter")
        dashboard.wait_live()
        expect(dashboard.send).to_be_enabled()
        dashboard.message.fill("with a key")
        dashboard.send.click()
        expect(dashboard.event("with a key")).to_be_visible()
        assert not any(keys.secrets["all"] in url for url in urls)


def test_key_is_kept_for_the_tab_over_a_reload_and_forgotten_when_asked(
    start_hub: StartHub, new_page: NewPage, watch: Watch
) -> None:
    watch.allow(UNAUTHORIZED)
    with guarded(start_hub) as (hub, keys):
        page = new_page()
        dashboard = Dashboard(page, hub)
        give_key(page, keys.secrets["all"])
        dashboard.wait_live()
        page.reload()
        dashboard.wait_live()
        other = Dashboard(new_page(beside=page), hub)  # another tab of the same browser
        other.wait_look("refused")
        open_access(page)
        expect(page.locator("#access")).to_contain_text("The hub knows you as key:all.")
        page.locator("[data-act=forget]").click()
        dashboard.wait_look("refused")


def test_page_shows_what_its_key_may_read_and_says_what_it_may_not_do(
    start_hub: StartHub, page: Page, watch: Watch
) -> None:
    watch.allow(UNAUTHORIZED)
    with guarded(start_hub) as (hub, keys):
        dashboard = Dashboard(page, hub)
        give_key(page, keys.secrets["reader"])
        dashboard.wait_live()
        expect(page.locator(".empty")).to_contain_text("topics that you may read")
        expect(page.locator(".empty-curl")).to_be_hidden()  # it would be refused
        publish(hub, keys.secrets["all"], "secret", "not for this page")
        publish(hub, keys.secrets["all"], "ci/main", "for this page")
        expect(dashboard.event("for this page")).to_be_visible()
        assert dashboard.messages() == ["for this page"]
        expect(dashboard.send).to_be_disabled()
        expect(page.locator(".form-denied")).to_contain_text("may not publish on the topic")
        expect(dashboard.number("history")).to_have_text("–")
        open_access(page)
        expect(page.locator(".access-rights")).to_have_text(
            "You may read: ci/*, news.You may publish nothing."
        )


def test_key_that_the_hub_does_not_know_is_said_to_be_no_good(
    start_hub: StartHub, page: Page, watch: Watch
) -> None:
    watch.allow(UNAUTHORIZED)
    with guarded(start_hub, "--anonymous-subscribe", "*") as (hub, _):
        dashboard = open_dashboard(page, hub)
        open_access(page)
        page.locator("#key").fill("tocsin_unknown")
        page.keyboard.press("Enter")
        dashboard.wait_look("refused")
        expect(dashboard.status).to_contain_text("does not take this key")
        page.locator("[data-act=give-key]").click()
        expect(page.locator("#access")).to_contain_text("does not take this key")
        page.locator("[data-act=forget]").click()
        dashboard.wait_live()


def test_hub_without_authentication_is_said_to_ask_for_none(hub: HubProcess, page: Page) -> None:
    dashboard = open_dashboard(page, hub)
    expect(dashboard.send).to_be_enabled()
    open_access(page)
    expect(page.locator("#access")).to_contain_text("This hub asks for no key")
    expect(page.locator("[data-act=forget]")).to_be_hidden()
