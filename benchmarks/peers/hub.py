"""Tocsin itself, with its default settings: metrics, log, limits and checks are on."""

from __future__ import annotations

import sys
from pathlib import Path

from peers.base import Peer, run
from tocsin.bench import Target

TOCSIN = Path(sys.executable).parent / "tocsin"
SWITCHED = Path(__file__).parents[1] / "switched.py"


class Hub(Peer):
    name = "tocsin"
    title = "Tocsin"

    def version(self) -> str:
        return run(TOCSIN, "--version").strip()

    def command(self, port: int) -> list[str]:
        return [str(TOCSIN), "serve", "--port", str(port)]

    def topic_target(self, port: int) -> Target:
        return Target(
            "127.0.0.1",
            port,
            events="/events?topic={topic}",
            body='{"type":"bench","message":"{message}","topic":"{topic}"}',
        )


class SwitchedHub(Hub):
    """The same, with metrics that can be switched off, to measure what they cost."""

    name = "tocsin-switched"
    title = "Tocsin"

    def command(self, port: int) -> list[str]:
        return [sys.executable, str(SWITCHED), "serve", "--port", str(port)]


HUB = Hub()
SWITCHED_HUB = SwitchedHub()
