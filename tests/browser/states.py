"""The states that the page can be in, each arranged by real means; for axe and for screenshots."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, expect

from tests.access.keys import KeyFile
from tests.browser.dashboard import Dashboard, StartHub, open_dashboard
from tests.browser.load import Publisher
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S

EXAMPLES = [
    ("user_joined", "Alice a rejoint l’espace de travail", "default", {}),
    ("message_received", "Bob: the release notes are ready to read", "team/web", {"thread": 42}),
    ("system_alert", "Disk almost full on srv-02: 91 % used", "ops/disks", {"used": 0.91}),
    ("data_updated", "The catalogue was updated", "shop/catalogue", {"added": 12, "removed": 3}),
    ("notification", "Nightly backup finished in 4 min 12 s, 1,204 files", "ops/backup", {}),
    ("deploy.finished", "main@4f2c91e is in production", "ci/deploy", {"commit": "4f2c91e"}),
    (
        "message_received",
        "Trap: invoice_\u202egpj.exe\u200b <img src=x onerror=alert(1)>",
        "default",
        {},
    ),
]
SLOW = ("--retry", "60000")
NESTED = {
    "severity": "critical",
    "host": {
        "name": "srv-02",
        "disks": [{"mount": "/", "used": 0.91}, {"mount": "/var", "used": 0.34}],
    },
    "runbook": "https://example.org/runbooks/disk-almost-full",
    "acknowledged": False,
    "owner": None,
}


def publish_examples(hub: HubProcess, times: int = 1) -> None:
    for _ in range(times):
        for type, message, topic, data in EXAMPLES:
            hub.publish(type, message, topic=topic, data=data)


@contextmanager
def arranged(name: str, page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    """The page in that state; `page` must allow for a lost hub."""
    yield from STATES[name](page, start_hub)


def empty(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    yield open_dashboard(page, start_hub())


def live(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    hub = start_hub()
    dashboard = open_dashboard(page, hub)
    publish_examples(hub, 2)
    expect(dashboard.number("received")).to_have_text("14")
    expect(dashboard.number("latency")).not_to_have_text("–")
    yield dashboard


def paused(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    hub = start_hub()
    dashboard = open_dashboard(page, hub)
    publish_examples(hub)
    expect(dashboard.number("received")).to_have_text("7")
    dashboard.pause.click()
    publish_examples(hub, 3)
    expect(dashboard.pause).to_contain_text("+21")
    yield dashboard


def filtered(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    hub = start_hub()
    dashboard = open_dashboard(page, hub, "/?topic=ops/*&q=disk")
    publish_examples(hub, 3)
    expect(dashboard.summary).to_contain_text(re.compile(r"^3 .* 21 "))
    yield dashboard


def no_match(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    hub = start_hub()
    dashboard = open_dashboard(page, hub, "/?q=nowhere")
    publish_examples(hub)
    expect(dashboard.summary).to_contain_text(re.compile(r"^0 .* 7 "))
    yield dashboard


def away(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    hub = start_hub()
    dashboard = open_dashboard(page, hub)
    publish_examples(hub, 12)
    expect(dashboard.number("received")).to_have_text("84")
    page.mouse.move(300, 500)
    page.mouse.wheel(0, 1500)
    expect(dashboard.rows.first).not_to_have_attribute("aria-posinset", "1")
    publish_examples(hub, 2)
    expect(dashboard.pill).to_contain_text("14")
    yield dashboard


def gap(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    hub = start_hub("--history-events", "4")
    dashboard = open_dashboard(page, hub)
    for _ in range(2):
        publish_examples(hub)
        dashboard.stop()
        publish_examples(hub, 2)
        dashboard.connect.click()
        expect(dashboard.gaps.first).to_contain_text("10")
    yield dashboard


def past(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    hub = start_hub()
    publish_examples(hub, 12)
    dashboard = open_dashboard(page, hub, past=True)
    hub.publish("system_alert", "Disk full on srv-02", topic="ops/disks", data=NESTED)
    hub.publish("notification", "Slow answers", topic="ops/web", data={"level": "warning"})
    expect(dashboard.number("received")).to_have_text("2")
    yield dashboard


def compact(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    page.add_init_script("localStorage.setItem('tocsin.density', 'compact')")
    yield from past(page, start_hub)


def unfolded(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    for dashboard in past(page, start_hub):
        page.locator("[data-act=unfold]").click()
        yield dashboard


def reconnecting(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    hub = start_hub(*SLOW)
    dashboard = open_dashboard(page, hub)
    publish_examples(hub)
    expect(dashboard.number("received")).to_have_text("7")
    hub.kill()
    dashboard.wait_look("waiting")
    yield dashboard


def refused(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    hub = start_hub("--max-clients", "1", *SLOW)
    first = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=PATIENCE_S)
    first.request("GET", "/events")
    first.getresponse().read1(1)
    dashboard = Dashboard(page, hub)
    dashboard.wait_look("refused")
    yield dashboard
    first.close()


def offline(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    hub = start_hub(*SLOW)
    dashboard = open_dashboard(page, hub)
    publish_examples(hub)
    expect(dashboard.number("received")).to_have_text("7")
    page.context.set_offline(True)
    hub.kill()
    dashboard.wait_look("offline")
    yield dashboard
    page.context.set_offline(False)


def stopped(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    dashboard = open_dashboard(page, start_hub())
    dashboard.stop()
    yield dashboard


def detail(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    hub = start_hub()
    dashboard = open_dashboard(page, hub)
    publish_examples(hub)
    hub.publish("system_alert", "Disk full on srv-02", topic="ops/disks", data=NESTED)
    dashboard.events.filter(has_text="Disk full on srv-02").click()
    expect(dashboard.detail).to_be_visible()
    yield dashboard


def many(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    hub = start_hub()
    dashboard = open_dashboard(page, hub)
    Publisher(hub.port, per_s=5000, seconds=2, message="Stock of article").join()
    expect(dashboard.number("received")).to_have_text(re.compile(r"^10.000$"))
    yield dashboard


def help(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    dashboard = open_dashboard(page, start_hub())
    page.keyboard.press("?")
    expect(dashboard.help).to_be_visible()
    yield dashboard


def menu(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    hub = start_hub()
    dashboard = open_dashboard(page, hub)
    publish_examples(hub)
    dashboard.menu.click()
    yield dashboard


def form_error(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    dashboard = open_dashboard(page, start_hub())
    dashboard.open_form()
    page.locator(".form-data summary").click()
    page.locator("[name=data]").fill('{"used": 0.9')
    dashboard.send.click()
    expect(dashboard.error).to_be_visible()
    yield dashboard


def choices(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    hub = start_hub()
    dashboard = open_dashboard(page, hub)
    publish_examples(hub)
    expect(dashboard.number("received")).to_have_text("7")
    dashboard.open_form()
    page.locator("#topic").fill("")
    expect(page.locator(".choices:visible")).to_be_visible()
    yield dashboard


def without_key(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    with guarded(start_hub) as (hub, _):
        dashboard = Dashboard(page, hub)
        dashboard.wait_look("refused")
        yield dashboard


def wrong_key(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    with guarded(start_hub) as (hub, keys):
        dashboard = Dashboard(page, hub)
        dashboard.wait_look("refused")
        give_key(page, keys.secrets["reader"][:-1])
        expect(page.locator("[data-act=give-key]")).to_be_visible()
        dashboard.wait_look("refused")
        page.locator("[data-act=give-key]").click()
        yield dashboard


def access(page: Page, start_hub: StartHub) -> Iterator[Dashboard]:
    with guarded(start_hub) as (hub, keys):
        dashboard = Dashboard(page, hub)
        dashboard.wait_look("refused")
        give_key(page, keys.secrets["reader"])
        dashboard.wait_live()
        page.locator(".menu summary").click()
        page.locator("[data-act=access]").click()
        expect(page.locator("#access")).to_contain_text("key:reader")
        yield dashboard


def give_key(page: Page, key: str) -> None:
    """Give the refused page a key."""
    page.locator("[data-act=give-key]").click()
    page.locator("#key").fill(key)
    page.keyboard.press("Enter")


@contextmanager
def guarded(start_hub: StartHub, *flags: str) -> Iterator[tuple[HubProcess, KeyFile]]:
    """A hub with two keys: `reader` may read some topics, `all` may do everything but what is an operator's."""
    with TemporaryDirectory() as folder:
        keys = KeyFile(Path(folder))
        keys.add("reader", subscribe=["ci/*", "news"])
        keys.add("all", subscribe=["*"], publish=["*"])
        yield start_hub("--keys", keys.path, *flags), keys


Arrange = Callable[[Page, StartHub], Iterator[Dashboard]]
STATES: dict[str, Arrange] = {
    state.__name__: state
    for state in (
        empty,
        live,
        paused,
        filtered,
        no_match,
        away,
        gap,
        past,
        compact,
        unfolded,
        reconnecting,
        refused,
        offline,
        stopped,
        detail,
        many,
        help,
        menu,
        form_error,
        choices,
        without_key,
        wrong_key,
        access,
    )
}
