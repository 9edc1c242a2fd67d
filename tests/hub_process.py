"""A real `tocsin serve` in a process of its own, as tests see it."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import suppress
from typing import IO, Any

from tests.forked import Forked, origin
from tests.patience import PATIENCE_S, wait_until
from tests.tied import TIED

LISTENS = (
    r'^Tocsin listens at https?://\S+:(\d+)(?: |$)|"listens", "addresses": \["https?://[^"]+:(\d+)"'
)
"""What a hub says when it does: for people, or as JSON."""

READ_AT_THE_START = ("LD_", "PYTHON", "MALLOC_", "OPENSSL_", "TZ")
"""How the names of variables begin that the loader, Python and their libraries look at once."""


class HubProcess:
    """Starts on a free port, and is ready when the constructor returns. Its log goes to a file.

    Args:
        flags: of `tocsin serve`.
        env: variables beside the tests' own, of which it gets none that begins with TOCSIN_.
        port: to listen on; None takes a free one.
        python: the interpreter that starts it; None forks it from a process that has imported it, unless `env`
            holds what is read as a process starts.
        cwd: the folder it is started in; for an interpreter only.
    """

    def __init__(
        self,
        *flags: str,
        env: dict[str, str] | None = None,
        port: int | None = None,
        python: str | None = None,
        cwd: str | None = None,
    ) -> None:
        self._flags = flags
        starts = any(name.startswith(READ_AT_THE_START) for name in env or {})
        self.python = sys.executable if python is None and starts else python
        self._cwd = cwd
        self._env = {k: v for k, v in os.environ.items() if not k.startswith("TOCSIN_")} | (
            env or {}
        )
        self._log: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the hub
        self.port = port or 0
        try:
            self._process = self._start()
        except BaseException:
            self._log.close()
            raise

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def metrics_port(self) -> int:
        """Where `/metrics` is: on a listener of its own if the flags say so."""
        own = dict(zip(self._flags, self._flags[1:], strict=False)).get("--metrics-listen")
        return int(own.rpartition(":")[2]) if own else self.port

    @property
    def pid(self) -> int:
        return self._process.pid

    def publish(
        self, type: str = "notification", message: str = "bonjour", **more: Any
    ) -> dict[str, Any]:
        """POST an event, and return the answer."""
        return self._post({"type": type, "message": message, **more})

    def publish_at_once(self, type: str, *messages: str) -> list[str]:
        """POST a batch of events, and return their IDs."""
        ids: list[str] = self._post([{"type": type, "message": each} for each in messages])["ids"]
        return ids

    def _post(self, content: object) -> dict[str, Any]:
        body = json.dumps(content).encode()
        request = urllib.request.Request(
            f"{self.url}/api/notify", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            answer: dict[str, Any] = json.load(response)
        return answer

    def get(self, path: str) -> Any:
        """GET `path`, and return the JSON."""
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE_S) as response:
            return json.load(response)

    def text(self, path: str) -> str:
        """GET `path`, and return the text."""
        port = self.metrics_port if path == "/metrics" else self.port
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S
        ) as response:
            text: str = response.read().decode()
        return text

    def metric(self, sample: str) -> float:
        """The value of a metric's sample, spelt as in the text format."""
        found = re.search(rf"^{re.escape(sample)} (\S+)$", self.text("/metrics"), re.MULTILINE)
        assert found, f"no sample {sample}"
        return float(found[1])

    def memory_kib(self) -> int:
        """Resident memory."""
        with open(f"/proc/{self.pid}/status") as status:
            return int(next(line for line in status if line.startswith("VmRSS")).split()[1])

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE_S)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """The exit code, once it has ended by itself."""
        return self._process.wait(timeout_s)

    def restart(self) -> None:
        """Start again on the same port, after killing what still runs."""
        self.kill()
        self._process = self._start()

    def close(self) -> None:
        self.kill()
        self._log.close()

    def log(self) -> str:
        """What it has logged and printed so far."""
        self._log.flush()
        with open(f"/proc/self/fd/{self._log.fileno()}") as text:
            return text.read()

    def _start(self) -> subprocess.Popen[str] | Forked:
        seen = len(self.log())
        process = self._begin("serve", "--port", str(self.port), *self._flags)
        address = re.compile(LISTENS, re.MULTILINE)
        wait_until(
            lambda: address.search(self.log()[seen:]) or process.poll() is not None,
            what="tocsin serve",
        )
        found = address.search(self.log()[seen:])
        assert found, f"tocsin serve did not start: {self.log()[seen:]}"
        self.port = int(found[1] or found[2])
        return process

    def _begin(self, *arguments: str) -> subprocess.Popen[str] | Forked:
        if self.python is None:
            return origin().start(*arguments, log=self._log, env=self._env)
        command = [*TIED, self.python, "-m", "tocsin", *arguments]
        return subprocess.Popen(
            command, stdout=self._log, stderr=self._log, text=True, env=self._env, cwd=self._cwd
        )


def free_ports(count: int) -> list[int]:
    """So many ports that nobody listens on now.

    Below those that the kernel gives to connections and to port 0: until the caller listens, another test that runs
    at the same time would be given one of them.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(15_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports += [] if port in ports else [port]
    return ports
