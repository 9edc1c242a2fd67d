"""What the page says of its connection is what its connection is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewPage, Watch
from tests.browser.listener import Listener
from tests.conftest import StartHub
from tests.patience import wait_until
from tests.scripted_hub import Answer, Script, ScriptedHub, note, on_stream, welcome

ScriptHub = Callable[[Script], ScriptedHub]

SLOW_TO_RETRY = ("--retry", "60000")
"""A page that is back sooner than a wait lasts did not wait for its next try."""


def busy(reason: str) -> Answer:
    data = f'{{"reason": "{reason}", "retry": 9000}}'
    return Answer(f"retry: 9000\nevent: busy\ndata: {data}\n\n".encode())


@pytest.mark.parametrize(
    ("answer", "look", "words"),
    [
        (busy("full"), "refused", "as many clients as it can take"),
        (busy("draining"), "waiting", "stopping or restarting"),
        (
            Answer(b'{"error": "not on Sundays"}', 403, "application/json"),
            *("refused", "not on Sundays"),
        ),
        (Answer(b"<h1>Sign in</h1>", 200, "text/html"), "refused", "not an event stream"),
    ],
)
def test_refusal_is_shown_with_its_reason(
    script_hub: ScriptHub, page: Page, watch: Watch, answer: Answer, look: str, words: str
) -> None:
    watch.allow("status of 403")
    page.goto(script_hub(on_stream(answer)).url)
    status = page.locator(".status")
    expect(status).to_have_attribute("data-look", look)
    expect(status).to_contain_text(words)
    expect(status).to_contain_text("New try in")


def test_lost_hub_shows_with_the_time_of_the_next_try(
    start_hub: StartHub, page: Page, watch: Watch
) -> None:
    watch.allow_lost_hub()
    hub = start_hub("--retry", "5000")
    tab = Listener(page, hub.url)
    tab.wait_phase("live")
    hub.kill()
    tab.wait_phase("waiting")
    state = tab.get("state")
    assert state["cause"] == {"code": "network"}
    assert 5_000 <= state["retryAt"] - state["since"] <= 30_000


def test_silent_link_is_stalled_and_then_replaced(
    script_hub: ScriptHub, page: Page, watch: Watch
) -> None:
    watch.allow("status of 503")

    def script(path: str, before: int) -> Answer | None:
        if path == "/api/history":
            return Answer(b"{}", 503, "application/json")
        # It is stalled for the length of a heartbeat, and looks once a second.
        stream = Answer(welcome(heartbeat_s=3) + note("5-1"), hold=True)
        return stream if path == "/events" else None

    hub = script_hub(script)
    tab = Listener(page, hub.url)
    wait_until(lambda: tab.passed("waiting"), what="its end")
    assert tab.passed("waiting")[-3:] == ["live", "stalled", "waiting"]
    (waiting,) = [state for state in tab.get("states") if state["phase"] == "waiting"][:1]
    assert waiting["cause"] == {"code": "silent"}
    wait_until(lambda: "5-1" in hub.requests, what="a new stream after the last event")


@pytest.mark.parametrize(
    ("locale", "words"), [("en", "holds streams back"), ("fr", "retient les flux")]
)
def test_page_polls_where_streams_are_held_back_and_says_so(
    script_hub: ScriptHub, new_page: NewPage, locale: str, words: str
) -> None:
    hub = script_hub(on_stream(Answer(welcome(heartbeat_s=0.5), hold=True)))
    page = new_page(locale=locale)
    page.goto(hub.url)
    status = page.locator(".status")
    expect(status).to_contain_text(words)
    expect(status).to_have_attribute("data-look", "live")
    publish = page.request.post(
        hub.url + "/api/notify", data={"type": "notification", "message": "polled"}
    )
    assert publish.ok
    expect(page.locator(".feed")).to_contain_text("polled")


def test_dismissed_stream_stays_closed_until_somebody_connects(
    script_hub: ScriptHub, page: Page
) -> None:
    hub = script_hub(on_stream(Answer(status=204, content_type=None), Answer(welcome(), hold=True)))
    tab = Listener(page, hub.url)
    # A stream that nobody opened yet is stopped too, without a cause.
    wait_until(lambda: (tab.get("state") or {}).get("cause") == {"code": "dismissed"})
    assert tab.get("state")["phase"] == "stopped"
    tab.call("connect")
    tab.wait_phase("live")
    assert len(hub.requests) == 2


def test_retry_now_coming_back_online_and_becoming_visible_try_at_once(
    start_hub: StartHub, page: Page, watch: Watch
) -> None:
    watch.allow_lost_hub()
    hub = start_hub(*SLOW_TO_RETRY)
    tab = Listener(page, hub.url)
    for act in (
        "link.connect()",
        "dispatchEvent(new Event('online'))",
        "document.dispatchEvent(new Event('visibilitychange'))",
    ):
        tab.wait_phase("live")
        hub.restart()
        tab.wait_phase("waiting")
        page.evaluate(act)
        tab.wait_phase("live")


def test_offline_browser_shows_at_once_and_tries_when_back(
    start_hub: StartHub, page: Page, watch: Watch
) -> None:
    watch.allow_lost_hub()
    hub = start_hub(*SLOW_TO_RETRY)
    tab = Listener(page, hub.url)
    tab.wait_phase("live")
    hub.kill()
    tab.wait_phase("waiting")
    page.context.set_offline(True)
    wait_until(lambda: tab.get("state")["cause"] == {"code": "offline"}, what="offline")
    hub.restart()
    page.context.set_offline(False)
    tab.wait_phase("live")


def test_open_stream_is_doubted_while_the_browser_is_offline(
    start_hub: StartHub, page: Page
) -> None:
    hub = start_hub()
    tab = Listener(page, hub.url)
    tab.wait_phase("live")
    page.evaluate("dispatchEvent(new Event('offline'))")
    tab.wait_phase("stalled")
    id = hub.publish()["id"]
    tab.wait_for(id)
    tab.wait_phase("live")


def test_all_tabs_are_told_the_same(start_hub: StartHub, new_page: NewPage) -> None:
    hub = start_hub()
    first = Listener(new_page(), hub.url)
    second = Listener(new_page(beside=first.page), hub.url)
    first.wait_phase("live")
    second.call("disconnect")
    for tab in (first, second):
        tab.wait_phase("stopped")
        assert tab.get("state")["cause"] == {"code": "user"}
    first.call("connect")
    for tab in (first, second):
        tab.wait_phase("live")
    second.call("disconnect")
    first.wait_phase("stopped")
    Listener(new_page(beside=first.page), hub.url).wait_phase("live")
    first.wait_phase("live")
