"""The long runs of test_truth.py: the project's own rules and intervals, for minutes, and figures to print."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.metrics.test_exposition import scrape
from tests.monitoring.panels import expressions, replaced
from tests.monitoring.test_rules import CONFIG, TESTS, alerts
from tests.monitoring.test_truth import (
    END_TO_END,
    FAULT,
    LATE_S,
    Timed,
    delivered,
    hub_with_clock,
    late_by_hub,
    published_steadily,
)
from tests.patience import wait_until
from tests.prometheus_process import PrometheusProcess, instance
from tocsin.http.listening import SEND_BUFFER_BYTES

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1_500)]

SCRAPES_S = (5, 15, 30, 60)
STALLS = 26
EVENTS_PER_S = 4
"""To slow readers, of 10 KB each: twice what they read."""

HELD_BYTES = 65_536
"""What a slow reader's receive buffer is set to. Linux doubles that, and the hub's send buffer."""


def test_healthy_hubs_are_green_at_all_intervals_for_six_minutes() -> None:
    with ExitStack() as stack:
        start = stack.enter_context
        hubs = [
            *(start(closing(HubProcess("--canary", each))) for each in ("1", "5", "60")),
            *(start(closing(hub_with_clock(each))) for each in ("-45s", "+45s")),
        ]
        watching = [start(closing(PrometheusProcess(*hubs, interval_s=each))) for each in SCRAPES_S]
        began = time.time()
        fired: set[str] = set()
        while time.time() < began + 360:
            fired |= set().union(*(each.firing() for each in watching))
            time.sleep(5)
        asked = replaced(expressions(END_TO_END)[0], *map(instance, hubs))
        for interval_s, prometheus in zip(SCRAPES_S, watching, strict=True):
            values = [v for _, v in prometheus.range(asked, began + 90, time.time(), 1)]
            red = sum(value < 1 for value in values)
            print(f"scrapes every {interval_s} s: red {red} of {len(values)} s")
            assert red == 0
        print(f"alerts: {fired or 'none'}")
        assert FAULT not in fired


def test_stalls_of_4_s_in_every_30_s_are_late_for_the_hub_as_for_its_clients() -> None:
    with (
        closing(HubProcess("--canary", "0")) as hub,
        closing(PrometheusProcess(hub, interval_s=15)) as prometheus,
        closing(Timed(hub.port, 10)) as readers,
    ):
        fired: set[str] = set()
        with published_steadily(hub, per_s=25):
            for _ in range(STALLS):
                time.sleep(26)
                hub.signal(signal.SIGSTOP)
                time.sleep(4)
                hub.signal(signal.SIGCONT)
                fired |= prometheus.firing()
        published = int(hub.metric('tocsin_events_published_total{source="api"}'))
        wait_until(lambda: len(readers.late) == 10 * published, 400, what="all events")
        late, count = late_by_hub(hub)
        seen = sum(each > LATE_S for each in readers.late)
        stalled_s = hub.metric("tocsin_event_loop_stalled_seconds_total")
        print(f"late for clients {seen}, for the hub {late}, of {count}; stalled {stalled_s:.1f} s")
        print(f"alerts: {sorted(fired)}")
        assert count == delivered(hub)
        assert late == pytest.approx(seen, rel=0.1)
        assert stalled_s > STALLS * 3.5
        assert "TocsinEventLoopStalled" in fired


def test_readers_of_half_the_pace_are_late_for_the_hub_and_alert() -> None:
    with (
        closing(HubProcess("--canary", "0", "--history-bytes", str(2**28))) as hub,
        closing(PrometheusProcess(hub, interval_s=15)) as prometheus,
        closing(Timed(hub.port, 10, bytes_per_s=20_000, held_bytes=HELD_BYTES)) as readers,
    ):
        fired: set[str] = set()
        began = time.monotonic()
        number = 0
        while time.monotonic() < began + 600:
            hub.publish(message="x" * 9_800, data={"sent": time.time()})
            number += 1
            time.sleep(max(began + number / EVENTS_PER_S - time.monotonic(), 0))
            if number % 20 == 0:
                fired |= prometheus.firing()
        readers.bytes_per_s = None
        wait_until(lambda: len(readers.late) == 10 * number, 400, what="all events")
        late, count = late_by_hub(hub)
        seen = sum(each > LATE_S for each in readers.late)
        print(
            f"late for clients {seen}, up to {max(readers.late):.0f} s; for the hub {late} of {count}"
        )
        print(f"alerts: {sorted(fired)}")
        assert count == delivered(hub) == 10 * number
        # While the kernel's buffers fill, by 20 KB/s, the socket takes in time what the client reads late. Then all is late.
        filling_s = 2 * (SEND_BUFFER_BYTES + HELD_BYTES) / 20_000
        assert seen - 10 * EVENTS_PER_S * filling_s <= late <= seen
        assert late == pytest.approx(seen, rel=0.1)
        assert {"TocsinClientsLag", "TocsinDeliverySlowFastBurn"} <= fired


def test_current_promtool_is_content(start_hub: StartHub, tmp_path: Path) -> None:
    package = "github.com/prometheus/prometheus/cmd/promtool@latest"
    env = os.environ | {"GOBIN": str(tmp_path), "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "auto"}
    subprocess.run(["go", "install", package], check=True, env=env, timeout=1_200)
    promtool = str(tmp_path / "promtool")
    built_of = subprocess.run(
        ["go", "version", "-m", promtool], capture_output=True, text=True, check=True
    )
    print(*re.findall(r"^\tmod\t(\S+)\t(\S+)", built_of.stdout, re.MULTILINE))
    checks = [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "--lint=all", "--lint-fatal", "rules.yml"),
        ("test", "rules", *(str(file.relative_to(CONFIG)) for file in TESTS)),
    ]
    for check in checks:
        subprocess.run([promtool, *check], check=True, cwd=CONFIG, timeout=300)
    said = subprocess.run(
        [promtool, "check", "metrics"],
        input=scrape(start_hub()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    assert alerts()
