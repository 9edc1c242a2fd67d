"""What one writes first with Tornado: a set of handlers, `write` and `flush` on each of them."""

from __future__ import annotations

import sys

import tornado

from peers.base import APPS, Peer


class TornadoLoop(Peer):
    name = "tornado"
    title = "Tornado, write and flush"

    def version(self) -> str:
        return f"Tornado {tornado.version}, Python {sys.version.split()[0]}"

    def command(self, port: int) -> list[str]:
        return [sys.executable, str(APPS / "tornado_app.py"), str(port)]


TORNADO = TornadoLoop()
