"""The JavaScript client in pages: shared by tabs, over reloads, from other origins, under strict policies, out of bundlers."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.access.keys import KeyFile
from tests.browser.conftest import NewPage, Watch
from tests.browser.foreign_page import foreign_page
from tests.browser.listener import open_document
from tests.browser.source_page import SourcePage
from tests.client_js.document import (
    ESBUILD,
    EXAMPLE_HUB,
    FROM_HUB,
    POLICY,
    TOKEN,
    VITE,
    session,
)
from tests.client_js.runtimes import HERE as CLIENT_TESTS
from tests.client_js.runtimes import installed
from tests.conftest import StartHub
from tests.hub_process import HubProcess, free_ports
from tests.node import node_program
from tests.patience import wait_until

CSP = "Content-Security-Policy"
MODULE = "/client/v1/tocsin.js"
STRICT = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; worker-src 'self'; img-src 'self';"
    " require-trusted-types-for 'script'; trusted-types shop"
)


def open_source(page: Page, hub: HubProcess, csp: str = "", **options: Any) -> SourcePage:
    """A source in a page of the hub's own origin, under the dashboard's policies or those given."""
    open_document(page, hub.url, **({CSP: csp} if csp else {}))
    return SourcePage(page, MODULE, "/events", **options)


def clients(hub: HubProcess) -> int:
    count: int = hub.get("/api/stats")["clients"]
    return count


def test_tabs_share_one_stream_and_each_gets_its_news(
    start_hub: StartHub, new_page: NewPage
) -> None:
    hub = start_hub("--canary", "0")
    first = open_source(new_page(), hub, trustedTypes="tocsin")
    first.wait_phase("live")
    before = hub.publish()["id"]
    first.wait_ids(before)
    second = open_source(new_page(beside=first.page), hub, trustedTypes="tocsin")
    second.wait_phase("live")
    assert (second.state["shared"], second.state["unshared"]) == (True, None)
    wait_until(lambda: second.get("record.opened") == 1, what="open")
    after = hub.publish()["id"]
    first.wait_ids(before, after)
    second.wait_ids(after)
    assert clients(hub) == 1
    first.page.close()
    last = hub.publish()["id"]
    second.wait_ids(after, last)
    second.get("source.close()")
    assert second.get("source.readyState") == 2
    wait_until(lambda: clients(hub) == 0, what="the stream that nobody is shown is closed")


def test_tab_that_joins_gets_the_state_too(start_hub: StartHub, new_page: NewPage) -> None:
    hub = start_hub("--canary", "0")
    for topic in ("u/1", "u/1", "u/2"):
        hub.publish(topic=topic)
    asked: dict[str, Any] = {"topics": ["u/*"], "lastPerTopic": 1, "trustedTypes": "tocsin"}
    first = open_source(new_page(), hub, **asked)
    wait_until(lambda: len(first.ids()) == 2, what="the state")
    of_1, of_2 = first.ids()
    newer = hub.publish(topic="u/1")["id"]
    first.wait_ids(of_1, of_2, newer)
    second = open_source(new_page(beside=first.page), hub, **asked)
    second.wait_ids(of_2, newer)
    news = hub.publish(topic="u/2")["id"]
    first.wait_ids(of_1, of_2, newer, news)
    second.wait_ids(of_2, newer, news)
    assert second.state["shared"] is True
    assert clients(hub) == 1


def test_tab_whose_state_the_shared_stream_lacks_has_a_stream_of_its_own(
    start_hub: StartHub, new_page: NewPage
) -> None:
    hub = start_hub("--canary", "0")
    asked: dict[str, Any] = {"last": 2, "trustedTypes": "tocsin"}
    before = hub.publish()["id"]
    first = open_source(new_page(), hub, **asked, storageKey="shop")
    first.wait_ids(before)
    first.page.goto("about:blank")  # the worker ends, and its stream
    wait_until(lambda: clients(hub) == 0, what="no stream")
    missed = hub.publish()["id"]
    first.page.goto(hub.url + "/listener")
    first.open()
    first.wait_ids(missed)
    second = open_source(new_page(beside=first.page), hub, **asked)
    second.wait_ids(before, missed)
    assert (second.state["shared"], second.state["unshared"]) == (False, "state")


@pytest.mark.parametrize("shared", ["auto", "never"])
def test_source_with_a_storage_key_goes_on_after_a_reload(
    start_hub: StartHub, page: Page, shared: str
) -> None:
    hub = start_hub()
    source = open_source(page, hub, storageKey="shop", shared=shared, trustedTypes="tocsin")
    source.wait_phase("live")
    before = hub.publish()["id"]
    source.wait_ids(before)
    page.goto("about:blank")
    missed = hub.publish()["id"]
    page.goto(hub.url + "/listener")
    source.open()
    source.wait_ids(missed)
    source.reload()
    source.wait_phase("live")
    after = hub.publish()["id"]
    source.wait_ids(after)
    assert source.state["unshared"] == (None if shared == "auto" else "asked")


def test_page_of_another_origin_loads_the_client_from_the_hub(
    start_hub: StartHub, page: Page, watch: Watch
) -> None:
    watch.most_hosts = 2
    with foreign_page() as port:
        hub = start_hub("--cors-origin", f"http://localhost:{port}")
        page.goto(f"http://localhost:{port}/")
        source = SourcePage(page, hub.url + MODULE, hub.url + "/events")
        source.wait_phase("live")
        assert (source.state["shared"], source.state["unshared"]) == (False, "origin")
        id = page.evaluate(
            "async () => (await source.publish({ type: 'notification', message: 'a' })).id"
        )
        source.wait_ids(id)
        source.get("source.close()")


def test_strict_page_hands_over_its_own_policy(start_hub: StartHub, new_page: NewPage) -> None:
    hub = start_hub()
    source = open_source(new_page(), hub, STRICT, policy="shop")
    source.wait_phase("live")
    assert source.state["shared"] is True
    source.wait_ids(hub.publish()["id"])


def test_strict_page_without_a_policy_has_a_stream_of_its_own(
    start_hub: StartHub, page: Page, watch: Watch
) -> None:
    watch.allow("Trusted|CSP")
    hub = start_hub()
    source = open_source(page, hub, STRICT)
    source.wait_phase("live")
    assert (source.state["shared"], source.state["unshared"]) == (False, "failed")
    source.wait_ids(hub.publish()["id"])


def test_strict_page_that_shares_nothing_breaks_no_policy(start_hub: StartHub, page: Page) -> None:
    hub = start_hub()
    source = open_source(page, hub, STRICT, shared="never")
    source.wait_phase("live")
    source.wait_ids(hub.publish()["id"])


# --- the document ---------------------------------------------------------------------------------

RUN = """async ([module, code]) => {
  const { TocsinSource } = await import(module);
  globalThis.TocsinSource = TocsinSource;
  %s
  await new Promise((resolve) => source.addEventListener("connection", resolve));
  return source.state;
}"""


def test_page_of_another_origin_does_what_the_document_says(
    start_hub: StartHub, page: Page, watch: Watch
) -> None:
    watch.most_hosts = 2
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    with foreign_page() as port:
        hub = start_hub("--cors-origin", f"http://localhost:{port}", "--retry", "1000")
        page.goto(f"http://localhost:{port}/")
        page.add_script_tag(type="module", content=session(FROM_HUB, hub.url))
        paid = re.compile(r"\d+-1 Order 17 is paid")
        # Playwright hands over what the page said while it is asked for something.
        wait_until(lambda: page.title() and any(map(paid.fullmatch, said)), what=f"{said}")
        wait_until(
            lambda: page.title() and hub.get("/api/stats")["published"] == 2, what="both events"
        )
    assert said[0] == "connecting"
    assert "live" in said


def test_strict_page_of_the_document_shares(start_hub: StartHub, page: Page) -> None:
    hub = start_hub()
    open_document(page, hub.url, **{CSP: STRICT})
    assert page.evaluate(RUN % POLICY, [MODULE, ""])["shared"] is True


def test_page_gets_its_token_as_the_document_says(
    start_hub: StartHub, page: Page, tmp_path: Path
) -> None:
    keys = KeyFile(tmp_path)
    keys.add("shop", subscribe=["*"])
    hub = start_hub("--keys", keys.path)
    open_document(page, hub.url)
    page.route("**/my/token", lambda route: route.fulfill(body=keys.secrets["shop"]))
    state = page.evaluate(RUN % TOKEN.replace(EXAMPLE_HUB, ""), [MODULE, ""])
    assert (state["phase"], state["unshared"]) == ("live", "credentials")


# --- bundlers -----------------------------------------------------------------------------------


def esbuild(app: Path, modules: Path) -> None:
    """The app, and the worker's script as a second entry."""
    (program,) = modules.glob("@esbuild/*/bin/esbuild")
    _, *arguments = shlex.split(ESBUILD)
    subprocess.run([program, *arguments, "--log-level=error"], cwd=app, check=True)


def vite(app: Path, modules: Path) -> None:
    """The app as Vite builds it, whose own import gives the worker's address."""
    command = [node_program(), str(modules / "vite/bin/vite.js"), "build", "--logLevel", "error"]
    subprocess.run(command, cwd=app, check=True)


BUNDLERS: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "esbuild": (esbuild, "const worker = '/worker.js';"),
    "vite": (vite, VITE.splitlines()[0]),
}

APP = """
import { TocsinSource } from "tocsin-client";
WORKER
const asked = new URLSearchParams(location.search);
const options = asked.has("worker") ? { worker } : {};
const record = globalThis.record = { events: [], states: [] };
const source = globalThis.source = new TocsinSource(asked.get("hub") + "/events", options);
source.addEventListener("notification", ({ type, lastEventId }) => record.events.push({ type, lastEventId }));
source.addEventListener("tocsin:state", ({ detail }) => record.states.push(detail));
"""
INDEX = "<!doctype html><title>App</title><link rel=icon href=data:,><script type=module src=/app.js></script>"


class Quiet(SimpleHTTPRequestHandler):
    """Files of a folder, without a log."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.mark.timeout(600)  # it may install packages, over the network
@pytest.mark.parametrize("bundler", ["esbuild", pytest.param("vite", marks=pytest.mark.soak)])
def test_bundled_client_shares_where_it_is_told_its_worker(
    tmp_path: Path, start_hub: StartHub, new_page: NewPage, watch: Watch, bundler: str
) -> None:
    watch.most_hosts = 2
    modules = installed(CLIENT_TESTS)
    build, worker = BUNDLERS[bundler]
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "app.js").write_text(APP.replace("WORKER", worker))
    (tmp_path / "index.html").write_text(INDEX)
    build(tmp_path, modules)
    dist = tmp_path / "dist"
    if not (dist / "index.html").exists():
        (dist / "index.html").write_text(INDEX)
    (port,) = free_ports(1)
    server = ThreadingHTTPServer(("127.0.0.1", port), partial(Quiet, directory=str(dist)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        app = f"http://127.0.0.1:{port}"
        hub = start_hub("--cors-origin", app, "--canary", "0")
        own = SourcePage.of_app(new_page(), f"{app}/?hub={hub.url}")
        own.wait_phase("live")
        assert own.state["unshared"] == "bundled"
        tabs = [SourcePage.of_app(new_page(), f"{app}/?worker&hub={hub.url}")]
        tabs.append(SourcePage.of_app(new_page(beside=tabs[0].page), tabs[0].page.url))
        for tab in tabs:
            tab.wait_phase("live")
            assert tab.state["shared"] is True
        assert clients(hub) == 2
        id = hub.publish()["id"]
        for tab in (own, *tabs):
            tab.wait_ids(id)
    finally:
        server.shutdown()
        server.server_close()
