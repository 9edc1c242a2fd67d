"""A real Redis as Debian ships it, in a folder of its own, and what may happen to it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from tests.hub_process import free_ports
from tests.patience import PATIENCE_S, wait_until
from tests.tied import TIED

REDIS = shutil.which("redis-server") or "/usr/bin/redis-server"


class RedisProcess:
    """Starts on a free port, and answers when the constructor returns.

    Args:
        options: of the server, as on its command line. By default it writes to an append-only file before it
            answers, and leaves syncing to the kernel: so a kill loses nothing. With `everysec` it may put off writing
            while a sync is slow.
        program: the server.
    """

    def __init__(self, *options: str, program: str = REDIS) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tocsin-redis-"))
        (self.port,) = free_ports(1)
        self._command = [
            *(*TIED, program, "--bind", "127.0.0.1", "--port", str(self.port)),
            *("--dir", str(self.folder), "--save", "", "--appendonly", "yes"),
            *("--appendfsync", "no", "--repl-diskless-sync-delay", "0"),
            *options,
        ]
        self._log = (self.folder / "log").open("w+")
        self._process = self._start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, *command: str) -> bytes:
        """What Redis answers to one command, raw, as far as it comes in one piece."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as connection:
            parts = [b"$%d\r\n%b\r\n" % (len(each), each) for each in map(str.encode, command)]
            connection.sendall(b"*%d\r\n%b" % (len(parts), b"".join(parts)))
            return connection.recv(1 << 20)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def restart(self) -> None:
        """Start again, on the same port and folder."""
        self._process = self._start()

    def pause(self) -> None:
        """SIGSTOP: connections stay, and nothing answers."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, and remove its folder."""
        self.kill()
        self._log.close()
        shutil.rmtree(self.folder)

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log)

        def answers() -> bool:
            assert process.poll() is None, (self.folder / "log").read_text()
            try:
                return self.ask("PING") in (b"+PONG\r\n", b"-NOAUTH Authentication required.\r\n")
            except ConnectionError:
                return False

        wait_until(answers, what="redis-server")
        return process
