"""Nothing that a test starts outlives the test process, however that ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import wait_until

START_A_HUB_AND_HANG = """
import sys, time
from tests.hub_process import HubProcess
print(HubProcess(python=sys.argv[1] or None).pid, flush=True)
time.sleep(3600)
"""


@pytest.mark.parametrize("python", [sys.executable, ""], ids=["started", "forked"])
def test_hub_ends_with_the_test_process_that_is_killed(python: str) -> None:
    command = [sys.executable, "-c", START_A_HUB_AND_HANG, python]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as tests:
        assert tests.stdout
        hub = int(tests.stdout.readline())
        assert is_running(hub)
        tests.kill()
    wait_until(lambda: not is_running(hub), what="the hub's end")


def is_running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
