"""slowhttptest, which sends heads and bodies a few bytes at a time and reads answers as slowly (`make soak`)."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess

import pytest

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S, wait_until
from tests.raw import exchange, get
from tests.serving import StreamClient
from tests.tied import TIED

pytestmark = pytest.mark.soak

CONNECTIONS = 300
MODES = {
    "heads": ("-H", "-u", "/events"),
    "bodies": ("-B", "-s", "8192", "-u", "/api/notify"),
    "answers": ("-X", "-w", "1", "-y", "2", "-n", "5", "-z", "32", "-u", "/api/history?limit=1000"),
}


def descriptors(hub: HubProcess) -> int:
    return len(os.listdir(f"/proc/{hub.pid}/fd"))


@pytest.mark.parametrize("mode", MODES)
async def test_slow_clients_are_let_go_and_hold_up_nobody(start_hub: StartHub, mode: str) -> None:
    hub = start_hub("--canary", "0", "--log-level", "warning")
    for _ in range(10):
        hub.publish_at_once("notification", *["x" * 5_000] * 100)
    client = await StreamClient.open(hub)
    await client.next()
    before = descriptors(hub)
    *flags, path = MODES[mode]
    command = ["slowhttptest", *flags, hub.url + path, "-c", str(CONNECTIONS), "-r", "100"]
    with subprocess.Popen(
        [*TIED, *command, "-i", "2", "-l", "40", "-x", "8"], stdout=subprocess.PIPE, text=True
    ) as attack:
        while attack.poll() is None:
            id = hub.publish()["id"]
            assert (await client.next()).last_event_id == id
            assert exchange(hub.port, get("/healthz")).status == 200
            await asyncio.sleep(0.5)
        assert attack.stdout
        said = attack.stdout.read()
    if (
        mode != "answers"
    ):  # one of a megabyte may take two minutes by the least rate that is asked for
        assert re.search(r"No open connections left|closed: +[1-9]", said), said[-2_000:]
    wait_until(lambda: descriptors(hub) <= before + 1, PATIENCE_S, "all are let go")
    assert "Traceback" not in hub.log()
    await StreamClient.close_all()
