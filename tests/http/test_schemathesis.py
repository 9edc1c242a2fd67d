"""Requests that schemathesis makes of the description, valid and not: a real hub answers each as is described there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.access.keys import KeyFile
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S, wait_until
from tests.raw import get

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")


@contextmanager
def full_hub(*flags: str) -> Iterator[HubProcess]:
    """A hub whose only stream is taken: whoever asks for another is told so, and gets an end of it."""
    hub = HubProcess("--canary", "0", "--max-clients", "1", *flags)
    is_over = threading.Event()
    taker = threading.Thread(target=keep_taken, args=(hub, is_over))
    taker.start()
    try:
        wait_until(lambda: hub.get("/api/stats")["clients"] == 1, what="the only stream")
        yield hub
    finally:
        is_over.set()
        hub.close()
        taker.join(PATIENCE_S)


def keep_taken(hub: HubProcess, is_over: threading.Event) -> None:
    """Have the only stream, again and again where a request ended it."""
    while not is_over.is_set():
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", hub.port)) as connection,
        ):
            connection.sendall(get("/events"))
            while connection.recv(65_536):
                pass


def run(hub: HubProcess, folder: Path, examples: int, *flags: str) -> None:
    """Have schemathesis ask, and fail with what it says if an answer is not as it should be."""
    ran = subprocess.run(
        [
            *(str(SCHEMATHESIS), "run", f"{hub.url}/openapi.json", "--seed", "1", "--no-color"),
            *("--phases", "examples,coverage,fuzzing", "--max-examples", str(examples)),
            *("--exclude-checks", "positive_data_acceptance,negative_data_rejection"),
            *("--request-timeout", "30"),
            *("--warnings", "off", "--suppress-health-check", "all", "--no-shrink", *flags),
        ],
        capture_output=True,
        text=True,
        cwd=folder,  # it writes files
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS)},
        timeout=900,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-8_000:] + ran.stderr[-2_000:]
    assert "Traceback" not in hub.log()


def test_hub_answers_what_is_described(tmp_path: Path) -> None:
    with full_hub() as hub:
        run(hub, tmp_path, 5, "--exclude-method", "HEAD", "--exclude-method", "OPTIONS")
        assert hub.metric('tocsin_http_lane_requests_total{lane="tornado"}') > 100


@pytest.mark.soak
def test_hub_answers_what_is_described_many_times(tmp_path: Path) -> None:
    with full_hub() as hub:
        run(hub, tmp_path, 200)


@pytest.mark.soak
def test_hub_with_rights_answers_what_is_described(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path)
    header = keys.add("all", publish=["*"], subscribe=["*"], end=["*"], admin=True)
    with full_hub("--keys", keys.path, "--anonymous-subscribe", "*") as hub:
        run(hub, tmp_path, 100, "--header", header)
