"""How fast the stream side is, and what it takes. Each test prints its figures."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.browser.conftest import NewPage
from tests.browser.listener import Listener, open_document
from tests.browser.publisher import Publisher
from tests.conftest import StartHub

pytestmark = pytest.mark.soak

HERE = Path(__file__).parent
SECONDS = 10

WATCH_TASKS = """() => {
  globalThis.longTasks = [];
  new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((task) => Math.round(task.duration))))
    .observe({ type: "longtask" });
}"""


@pytest.mark.parametrize("tabs", [1, 8])
def test_ten_thousand_events_a_second_arrive_without_a_stall(
    start_hub: StartHub, new_page: NewPage, tabs: int
) -> None:
    hub = start_hub()
    first = Listener(new_page(), hub.url)
    listeners = [first]
    listeners += [Listener(new_page(beside=first.page), hub.url) for _ in range(tabs - 1)]
    for listener in listeners:
        listener.wait_phase("live")
        listener.page.evaluate(WATCH_TASKS)
    started = time.monotonic()
    with Publisher(hub.port, size=500, pause_s=0.05) as publisher:
        time.sleep(SECONDS)
    rate = len(publisher.acknowledged) / (time.monotonic() - started)
    last = publisher.acknowledged[-1]
    for listener in listeners:
        listener.page.wait_for_function("(id) => record.events.at(-1)?.id === id", arg=last)
    behind_s = time.monotonic() - started - SECONDS
    for listener in listeners:
        assert listener.ids() == publisher.acknowledged
        assert listener.get("dropped") == 0
    batches = first.get("batches")[1:]
    span_s = (batches[-1]["at"] - batches[0]["at"]) / 1_000
    tasks = first.page.evaluate("() => longTasks")
    print(
        f"\n{tabs} tabs: {rate:,.0f} events/s, {len(batches) / span_s:.1f} batches/s,"
        f" largest {max(batch['size'] for batch in batches)}, all there {behind_s:.2f} s after the last,"
        f" long tasks {tasks}, kept {first.get('totals')}"
    )
    assert len(batches) / span_s <= 20.5
    assert rate > 9_000


def test_worker_starts_quickly(start_hub: StartHub, new_page: NewPage) -> None:
    hub = start_hub()
    times_ms = []
    for _ in range(5):
        page = new_page()
        open_document(page, hub.url)
        times_ms.append(
            page.evaluate("""async () => {
              const { openLink } = await import("/client/v1/tocsin.js");
              const begun = performance.now();
              const url = new URL("/events?presence=1", location.href).href;
              return new Promise((resolve) => {
                const onState = ({ phase }) => phase === "live" && resolve(performance.now() - begun);
                openLink({ url, onBatch() {}, onState }).connect();
              });
            }""")
        )
        page.close()
    print(f"\nfrom openLink to live: {sorted(round(each) for each in times_ms)} ms")
    assert sorted(times_ms)[2] < 2_000


def test_parser_and_store_are_measured() -> None:
    node = shutil.which("node")
    assert node, "needs nodejs"
    measure = [node, "--expose-gc", str(HERE.parent / "client_js/unit/measure.mjs")]
    print("\n" + subprocess.run(measure, check=True, capture_output=True, text=True).stdout.strip())
