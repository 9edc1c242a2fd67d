"""Where the stream runs, what may be run there, and how fast it hands things over."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import NewPage, Watch
from tests.browser.listener import Listener, open_document
from tests.browser.publisher import Publisher
from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import wait_until
from tests.scripted_hub import Answer, Script, ScriptedHub
from tocsin.http.routes.pages import PAGE_FIELDS

CSP = "Content-Security-Policy"


def check_works(tab: Listener, hub_port: int, publish: Callable[[], str]) -> None:
    tab.wait_phase("live")
    id = publish()
    tab.wait_for(id)
    assert tab.ids() == [id]
    assert tab.get("state")["shared"] is False


def test_page_runs_the_stream_itself_where_there_are_no_shared_workers(
    hub: HubProcess, page: Page
) -> None:
    page.add_init_script("delete globalThis.SharedWorker")
    check_works(Listener(page, hub.url), hub.port, lambda: hub.publish()["id"])


def test_page_runs_the_stream_itself_where_a_policy_forbids_workers(
    start_hub: StartHub, page: Page, watch: Watch
) -> None:
    watch.allow("worker-src")
    hub = start_hub()
    policy = dict(PAGE_FIELDS)[CSP].replace("worker-src 'self'", "worker-src 'none'")
    tab = Listener(page, hub.url, **{CSP: policy})
    check_works(tab, hub.port, lambda: hub.publish()["id"])


def test_page_runs_the_stream_itself_where_the_worker_does_not_load(
    script_hub: Callable[[Script], ScriptedHub],
    start_hub: StartHub,
    page: Page,
    watch: Watch,
) -> None:
    watch.allow("status of 404")

    def script(path: str, before: int) -> Answer | None:
        return Answer(b"gone", 404, "text/plain") if path == "/client/v1/worker.js" else None

    hub = script_hub(script)
    tab = Listener(page, hub.url)
    tab.wait_phase("live")
    assert tab.get("state")["shared"] is False


def test_only_policy_makes_only_the_worker_address(hub: HubProcess, page: Page) -> None:
    Listener(page, hub.url).wait_phase("live")
    refused = page.evaluate("""() => {
      const refused = (run) => { try { run(); return "done"; } catch (error) { return error.name; } };
      return [
        refused(() => trustedTypes.createPolicy("tocsin", {})),
        refused(() => trustedTypes.createPolicy("another", {})),
        refused(() => trustedTypes.createPolicy("default", {})),
        refused(() => document.body.innerHTML = "<b>markup</b>"),
        refused(() => document.createElement("script").src = "/js/app.js"),
        refused(() => new SharedWorker("/client/v1/worker.js")),
      ];
    }""")
    assert "done" not in refused


@pytest.fixture(autouse=True)
def _expected_reports(request: pytest.FixtureRequest, watch: Watch) -> None:
    """The attempts above are reported; nothing else may be."""
    if "only_policy" in request.node.name:
        watch.allow("CSP: |Trusted|Content Security Policy")


def test_no_state_of_the_stream_breaks_a_policy(
    start_hub: StartHub, page: Page, watch: Watch
) -> None:
    watch.allow_lost_hub()
    hub = start_hub("--retry", "1000")
    page.goto(hub.url)
    status = page.locator(".status")

    def wait_look(look: str) -> None:
        wait_until(lambda: status.get_attribute("data-look") == look, what=look)

    wait_look("live")
    hub.kill()
    wait_look("waiting")
    hub.restart()
    wait_look("live")
    page.locator("[data-act=disconnect]").click()
    wait_look("stopped")
    page.locator("[data-act=connect]").click()
    wait_look("live")
    page.reload()
    wait_look("live")


def test_batches_are_at_most_twenty_a_second_and_never_empty(
    start_hub: StartHub, new_page: NewPage
) -> None:
    hub = start_hub()
    tab = Listener(new_page(), hub.url)
    tab.wait_phase("live")
    with Publisher(hub.port, size=50, pause_s=0.005) as publisher:
        wait_until(lambda: tab.count() > 3_000, what="events")
    tab.wait_for(publisher.acknowledged[-1])
    assert tab.ids() == publisher.acknowledged
    batches = tab.get("batches")
    assert all(batch["size"] > 0 for batch in batches)
    span_s = (batches[-1]["at"] - batches[0]["at"]) / 1_000
    assert len(batches) <= 20 * span_s + 2


def test_document_without_a_script_has_the_dashboards_policies(hub: HubProcess, page: Page) -> None:
    open_document(page, hub.url)
    served = page.request.get(hub.url + "/").headers
    assert served["content-security-policy"] == dict(PAGE_FIELDS)[CSP]
    for directive in (
        "trusted-types tocsin;",
        "worker-src 'self'",
        "require-trusted-types-for 'script'",
    ):
        assert directive.rstrip(";") in served["content-security-policy"]
    assert "unsafe" not in served["content-security-policy"]
    assert "allow-duplicates" not in served["content-security-policy"]
