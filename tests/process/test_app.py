"""Starts and stops that fail: they are told, and leave nothing open."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.serving import serving
from tocsin import Hub, Settings, app
from tocsin.app import Server
from tocsin.errors import PortTaken
from tocsin.eventlog.journal import MemoryJournal


class WatchedJournal(MemoryJournal):
    """A journal that counts how often it was closed."""

    stops = 0

    async def stop(self) -> None:
        self.stops += 1
        await super().stop()


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> WatchedJournal:
    """The journal of every server that the test makes."""
    journal = WatchedJournal()
    monkeypatch.setattr(app, "open_journal", lambda url: journal)
    return journal


async def test_start_that_fails_at_the_port_leaves_nothing_open(
    journal: WatchedJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_taken(settings: Settings) -> None:
        raise PortTaken("port: taken")

    monkeypatch.setattr(app, "sockets_of", is_taken)
    server = Server(Settings(port=0, metrics_listen="127.0.0.1:0", simulate=1))
    with pytest.raises(PortTaken):
        await server.start()
    assert journal.stops == 1
    socket.create_server(("127.0.0.1", server.metrics_port)).close()  # it is free again


async def test_stop_that_fails_halfway_closes_the_rest_and_is_told(
    journal: WatchedJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise RuntimeError("no drain today")

    server = Server(Settings(port=0, canary=0))
    await server.start()
    monkeypatch.setattr(server.hub, "drain", fail)
    with pytest.raises(RuntimeError, match="no drain today"):
        await server.stop()
    assert journal.stops == 1
    with socket.create_server(("127.0.0.1", server.port)):
        pass  # the port is free


async def test_embedded_hub_whose_drain_fails_closes_its_journal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail() -> None:
        raise RuntimeError("no drain today")

    journal = WatchedJournal()
    hub = Hub(Settings(), journal)
    await hub.start()
    monkeypatch.setattr(hub, "drain", fail)
    with pytest.raises(RuntimeError, match="no drain today"):
        await hub.stop()
    assert journal.stops == 1


async def test_uptime_counts_from_the_start_of_the_hub() -> None:
    began = time.monotonic()
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /api/stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = (await asyncio.wait_for(reader.read(), 5)).decode()
        writer.close()
    uptime = float(answer.partition('"uptime":')[2].partition(",")[0])
    assert 0 <= uptime <= time.monotonic() - began


FAILING_STOP = """
from tocsin.cli.main import main
from tocsin.eventlog.journal import MemoryJournal
async def stop(self):
    raise OSError("disk full\\n\\x1b[2J")
MemoryJournal.stop = stop
main()
"""


def test_stop_that_fails_ends_the_process_with_a_code_and_is_logged() -> None:
    command = [sys.executable, "-c", FAILING_STOP, "serve", "--port", "0", "--canary", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as hub:
        assert hub.stdout
        assert "listens" in hub.stdout.readline()
        hub.send_signal(signal.SIGTERM)
        _, said = hub.communicate(timeout=20)
    assert hub.returncode == 1
    assert "ERROR tocsin: the hub failed\n" in said
    assert r"OSError: disk full" in said
    assert "\x1b" not in said
