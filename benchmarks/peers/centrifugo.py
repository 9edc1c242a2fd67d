"""Centrifugo, a real-time server in Go: one P, streams over its unidirectional SSE transport.

Its configuration is its quickest: no history, no presence, no authorisation, errors logged only. What
a client subscribes to stands in the query of its stream.
"""

from __future__ import annotations

import json
from urllib.parse import quote

from peers.base import CACHE, Peer, run
from tocsin.bench import BenchError, Target

VERSION = "v6.9.1"
PACKAGE = f"github.com/centrifugal/centrifugo/v6@{VERSION}"
HOME = CACHE / "go"
BINARY = HOME / "centrifugo"

CONFIGURATION = {
    "http_server": {"address": "127.0.0.1"},
    "log": {"level": "error"},
    "client": {"insecure": True, "connection_limit": 0},
    "http_api": {"insecure": True},
    "uni_sse": {"enabled": True},
}


class Centrifugo(Peer):
    name = "centrifugo"
    title = "Centrifugo"

    def install(self) -> None:
        if BINARY.exists():
            return
        HOME.mkdir(parents=True, exist_ok=True)
        environment = {"GOBIN": str(HOME)}
        try:
            run("go", "install", PACKAGE, environment=environment, timeout_s=900)
        except BenchError as error:
            raise BenchError(f"go install {PACKAGE}: {error}") from None

    def version(self) -> str:
        go = run("go", "version", BINARY).split()[-1]
        return f"Centrifugo {VERSION}, {go}, GOMAXPROCS=1"  # built like this, it knows no version

    def command(self, port: int) -> list[str]:
        file = HOME / "centrifugo.json"
        file.write_text(json.dumps(CONFIGURATION))
        return [str(BINARY), "--config", str(file), "--http_server.port", str(port)]

    def environment(self) -> dict[str, str]:
        return {"GOMAXPROCS": "1"}

    def target(self, port: int) -> Target:
        return self._target(port, "all")

    def topic_target(self, port: int) -> Target:
        return self._target(port, "{topic}")

    def _target(self, port: int, channel: str) -> Target:
        connect = quote('{"subs":{"CHANNEL":{}}}').replace("CHANNEL", channel)
        return Target(
            "127.0.0.1",
            port,
            events=f"/connection/uni_sse?cf_connect={connect}",
            publish="/api/publish",
            body=f'{{"channel":"{channel}","data":{{"type":"bench","message":"{{message}}"}}}}',
        )


CENTRIFUGO = Centrifugo()
