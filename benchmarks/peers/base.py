"""What every peer is, and a server process of one: started, pinned, watched, stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from turns import Turns

from tocsin.bench import BenchError, Target

HERE = Path(__file__).parent
APPS = HERE / "apps"
"""Servers of our own making, each in its own language, and what they need."""

CACHE = HERE.parent / ".cache"
"""All that is installed, compiled or logged here; git ignores it."""

SERVER_CORE = 0
LOAD_CORE = 1

READY_S = 10.0
STOP_S = 15.0  # the hub may take 10 s to end its streams


class Peer(ABC):
    """One kind of server.

    `name` is the word in results and flags, `title` what people read.
    """

    name: str
    title: str

    @property
    def log_name(self) -> str:
        """What its log file is called; of its own for each that may run at the same time."""
        return self.name

    def install(self) -> None:
        """Get what isn't there yet; called once before anything is measured."""
        return

    @abstractmethod
    def version(self) -> str:
        """Name and version of what is measured, for the report."""

    @abstractmethod
    def command(self, port: int) -> list[str]:
        """The command that listens on 127.0.0.1:`port` until SIGTERM, as one process tree."""

    def environment(self) -> dict[str, str]:
        """What is added to the environment."""
        return {}

    def target(self, port: int) -> Target:
        """Its requests, without topics."""
        return Target("127.0.0.1", port)

    def topic_target(self, port: int) -> Target:
        """Its requests, with a topic in each.

        Raises:
            BenchError: it has no topics.
        """
        raise BenchError(f"{self.name} has no topics")

    def start(self, flags: Sequence[str] = ()) -> Server:
        """A server of this kind, alone on its core, ready for requests; `flags` end its command."""
        return Server(self, flags)


class Server:
    """A running server; leaving the context stops it and everything it started."""

    def __init__(self, peer: Peer, flags: Sequence[str]) -> None:
        self.peer = peer
        self.port = _free_port()
        self.log = CACHE / "logs" / f"{peer.log_name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        # A file, never a pipe that nobody reads. SIGTERM if this process dies: nothing stays behind.
        pinned = ["taskset", "-c", str(SERVER_CORE), "setpriv", "--pdeathsig", "TERM"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*pinned, *peer.command(self.port), *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment() | peer.environment(),
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    @property
    def target(self) -> Target:
        """How to talk to it."""
        return self.peer.target(self.port)

    @property
    def topic_target(self) -> Target:
        """How to talk to it, with topics."""
        return self.peer.topic_target(self.port)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def cpu_s(self) -> float:
        """Seconds that its processes have been running on a core, to the nanosecond."""
        ran_ns = 0
        for pid in self._pids():
            for thread in Path(f"/proc/{pid}/task").iterdir():
                ran_ns += int((thread / "schedstat").read_text().split()[0])
        return ran_ns / 1e9

    def free_threads(self) -> None:
        """Let all threads but the first of each process run on the generator's core too."""
        for pid in self._pids():
            for thread in Path(f"/proc/{pid}/task").iterdir():
                if int(thread.name) != pid:
                    os.sched_setaffinity(int(thread.name), {SERVER_CORE, LOAD_CORE})

    @property
    def turns(self) -> Turns:
        """How long its loop's turns take; of a hub that is started with them timed."""
        return Turns(turns_file(self.port))

    def memory_bytes(self) -> int:
        """Memory of all its processes; pages that they share count once (Pss)."""
        return sum(_bytes_of(f"/proc/{pid}/smaps_rollup", "Pss") for pid in self._pids())

    def forget_peak(self) -> None:
        """Begin anew with `peak_bytes`."""
        for pid in self._pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak_bytes(self) -> int:
        """The most memory that its processes held since `forget_peak`, shared pages in each."""
        return sum(_bytes_of(f"/proc/{pid}/status", "VmHWM") for pid in self._pids())

    def resident_bytes(self) -> int:
        """What they hold now, to compare with `peak_bytes`."""
        return sum(_bytes_of(f"/proc/{pid}/status", "VmRSS") for pid in self._pids())

    def stop(self) -> None:
        """End the server's session, by force if need be."""
        turns_file(self.port).unlink(missing_ok=True)
        for number, patience_s in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, 5.0)):
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                break
            try:
                self._process.wait(patience_s)
            except subprocess.TimeoutExpired:
                continue
            if not self._pids():
                break

    def _pids(self) -> list[int]:
        """The processes of its session: the first one's id is the session's."""
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and _session(int(entry.name)) == self._process.pid
        ]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise BenchError(f"{self.peer.name} ended at once; see {self.log.name}")
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    time.sleep(0.2)  # its own start-up work is over
                    return
            time.sleep(0.02)
        raise BenchError(f"{self.peer.name} didn't listen within {READY_S:.0f} s")


def turns_file(port: int) -> Path:
    """Where the hub on `port` tells its longest turn."""
    return CACHE / "logs" / f"turns-{port}"


def run(
    *command: str | Path,
    cwd: Path | None = None,
    environment: dict[str, str] | None = None,
    timeout_s: float = 300,
) -> str:
    """Run a command to its end, with `environment` beside ours; what it wrote.

    Raises:
        BenchError: it isn't there, failed, or took longer than `timeout_s`.
    """
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=os.environ | (environment or {}),
            check=True,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
        )
    except FileNotFoundError:
        raise BenchError(f"{command[0]} isn't installed") from None
    except subprocess.TimeoutExpired:
        raise BenchError(f"{' '.join(map(str, command))}: took too long") from None
    except subprocess.CalledProcessError as error:
        raise BenchError(f"{' '.join(map(str, command))}: {error.stdout[-2000:]}") from None
    return done.stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment() -> dict[str, str]:
    """Ours without the hub's settings: it is measured with its defaults."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}


def _session(pid: int) -> int:
    """The session that a process belongs to; 0 if it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    state, _, _, session = fields[:4]
    return 0 if state == "Z" else int(session)


def _bytes_of(path: str, field: str) -> int:
    for line in Path(path).read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0
