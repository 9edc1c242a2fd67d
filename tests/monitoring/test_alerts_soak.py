"""Alerts that look back for hours and days, in a hurry: a real disk that fills, real clients that get their events late."""

from __future__ import annotations

import os
import sys
import time
import urllib.error
from contextlib import closing
from pathlib import Path

import pytest

from tests.hub_process import HubProcess
from tests.monitoring.audience import Audience
from tests.monitoring.panels import expressions, replaced
from tests.monitoring.test_alerts import IN_THE_SOAK
from tests.monitoring.test_truth import Timed, published_steadily
from tests.patience import wait_until
from tests.prometheus_process import PrometheusProcess, instance

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

FILLS = "TocsinJournalDiskFills"
DOWN = "TocsinJournalDown"
BURNS = IN_THE_SOAK - {FILLS}

DISK_BYTES = 192 * 2**20

# A disk of its own, which nobody else sees. The last one ties what it becomes to the tests anew.
WITH_A_DISK = """\
#!/bin/sh
exec unshare --map-root-user --mount sh -ec '
    mount -t tmpfs -o size={size} none "$0"
    exec setpriv --pdeathsig KILL -- "$@"' {folder} {python} "$@"
"""


class Disk:
    """A small one, for the journal of one hub."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        script = folder.with_suffix(".sh")
        script.write_text(WITH_A_DISK.format(size=DISK_BYTES, folder=folder, python=sys.executable))
        script.chmod(0o755)
        flags = ("--canary", "0", "--history-bytes", str(2**30))
        self.hub = HubProcess(*flags, "--journal", f"sqlite:{folder}/log.db", python=str(script))
        self._filler = self._inside / "filler"

    @property
    def free_bytes(self) -> int:
        disk = os.statvfs(self._inside)
        return disk.f_bavail * disk.f_frsize

    @property
    def _inside(self) -> Path:
        """The folder, by a path that leads into the hub's namespace."""
        return Path(f"/proc/{self.hub.pid}/root{self._folder}")

    def fill(self) -> None:
        """Write a file of another program's, until nothing is left."""
        with self._filler.open("ab", buffering=0) as file:
            while self.free_bytes:
                file.write(bytes(min(self.free_bytes, 2**20)))

    def make_room(self) -> None:
        self._filler.unlink()

    def takes_events(self) -> bool:
        try:
            self.hub.publish()
        except urllib.error.HTTPError as error:
            if error.code not in (503, 507):
                raise
            return False
        return True

    def close(self) -> None:
        self.hub.close()


def test_disk_that_fills_alerts_while_there_is_room_and_until_it_fills_no_more(
    tmp_path: Path,
) -> None:
    with (
        closing(Disk(tmp_path / "filling")) as disk,
        closing(Disk(tmp_path / "quiet")) as other,
        # A minute is the hour that the rule looks at; the four hours that it looks ahead stay.
        closing(PrometheusProcess(disk.hub, other.hub, interval_s=1, hurry=60)) as prometheus,
    ):

        def alerted(name: str) -> set[str]:
            return {
                alert["labels"]["instance"]
                for alert in prometheus.alerts()
                if alert["labels"]["alertname"] == name and alert["state"] == "firing"
            }

        _, shown = expressions("How much room is left for the journal?")
        assert other.takes_events()
        with published_steadily(disk.hub, per_s=6, message="x" * 60_000):
            wait_until(lambda: alerted(FILLS), 180, "the alert")
        free = disk.free_bytes
        print(f"{free / DISK_BYTES:.0%} of the disk were free when it alerted")
        assert free > DISK_BYTES / 4
        assert disk.takes_events()
        wait_until(
            lambda: prometheus.value(replaced(shown, instance(disk.hub))) == disk.free_bytes,
            what="the panel says what is left",
        )

        def is_down() -> bool:
            disk.fill()  # again and again: a hub that can't write gives back what its file doesn't need
            return not disk.takes_events() and alerted(DOWN) == {instance(disk.hub)}

        wait_until(is_down, what="a journal that is down")
        disk.make_room()
        wait_until(disk.takes_events, what="a publish")
        assert alerted(FILLS) == {instance(disk.hub)}
        wait_until(lambda: not alerted(FILLS) | alerted(DOWN), 180, "the end of the alerts")


def test_deliveries_that_are_late_burn_the_budget_in_all_four_spans() -> None:
    with (
        closing(HubProcess("--canary", "0")) as hub,
        # A second is five minutes, a quarter of an hour is three days.
        closing(PrometheusProcess(hub, interval_s=0.25, hurry=300)) as prometheus,
        closing(Timed(hub.port, 6, bytes_per_s=20_000, held_bytes=65_536)) as readers,
        Audience(hub.port, 2),
    ):
        fired: dict[str, float] = {}
        began = time.monotonic()
        with published_steadily(hub, per_s=12, message="x" * 9_800):

            def all_fire() -> bool:
                for name in prometheus.firing() & BURNS:
                    fired.setdefault(name, round(time.monotonic() - began, 1))
                return fired.keys() == BURNS

            wait_until(all_fire, 300, "the alerts")
        print(f"fired after s: {fired}")
        # The faster the budget burns, the sooner; each has a `for` of its own.
        assert sorted(fired, key=lambda name: fired[name])[-1] == "TocsinDeliverySlowThreeDayBurn"
        (left,) = prometheus.query("job:tocsin_delivery_budget_left:ratio")
        assert left[1] < 0
        readers.bytes_per_s = None
        wait_until(lambda: not prometheus.firing() & BURNS, 300, "an end, as nothing is delivered")
