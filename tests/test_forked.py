"""A hub that is forked is a hub as any other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import wait_until


def descriptors(hub: HubProcess) -> int:
    return len(os.listdir(f"/proc/{hub.pid}/fd"))


def test_forked_hub_has_the_descriptors_of_one_that_was_started(start_hub: StartHub) -> None:
    start_hub()  # of which the other has nothing
    forked = start_hub("--canary", "0")
    started = HubProcess("--canary", "0", python=sys.executable)
    try:
        wait_until(lambda: descriptors(forked) == descriptors(started))
    finally:
        started.close()


def test_forked_hub_has_its_environment_and_no_other(start_hub: StartHub) -> None:
    one, other = start_hub(env={"TOCSIN_HISTORY_EVENTS": "7"}), start_hub()
    limits = [hub.metric("tocsin_history_limit_events") for hub in (one, other)]
    assert limits[0] == 7 != limits[1]


def test_forked_hub_that_refuses_its_settings_tells_its_log_and_ends() -> None:
    with pytest.raises(AssertionError, match="--heartbeat: '-1'"):
        HubProcess("--heartbeat", "-1")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_end_of_a_forked_hub_is_told(start_hub: StartHub, number: int, code: int) -> None:
    hub = start_hub()
    pid = hub.pid
    hub.signal(number)
    assert hub.wait() == code
    assert not Path(f"/proc/{pid}").exists()
    hub.signal(signal.SIGTERM)  # and nobody else's process is sent a signal


def test_forked_hub_draws_numbers_of_its_own(start_hub: StartHub) -> None:
    one, other = start_hub(), start_hub()
    assert one.publish()["id"] != other.publish()["id"]


def test_forked_hub_that_hangs_is_waited_for_in_vain(start_hub: StartHub) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        start_hub().wait(0.01)
