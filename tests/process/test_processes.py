"""Several processes behind the same sockets: `tocsin serve --processes 2`, with a real Redis."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from tests.conftest import StartHub
from tests.hub_process import HubProcess, free_ports
from tests.patience import PATIENCE_S, wait_until
from tests.raw import exchange, get, notice, post
from tests.redis_process import RedisProcess
from tocsin.cli.supervisor import MOST_DEATHS

FLAGS = ("--processes", "2", "--canary", "0", "--retry", "1000", "--drain-timeout", "2")


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisProcess]:
    redis = RedisProcess()
    yield redis
    redis.close()


@pytest.fixture
def flags(redis: RedisProcess, tmp_path: Path) -> tuple[str, ...]:
    """Of a hub of two processes, with a log of its own."""
    prefix = re.sub(r"[^A-Za-z0-9]", "-", tmp_path.name)
    return (*FLAGS, "--journal", redis.url, "--redis-prefix", prefix[:64])


OpenStreams = Callable[[int, int], "list[Stream]"]


@pytest.fixture
def open_streams() -> Iterator[OpenStreams]:
    """Open so many streams at a port; all of them are closed."""
    with ExitStack() as stack:
        yield lambda port, count: [stack.enter_context(closing(Stream(port))) for _ in range(count)]


def workers(hub: HubProcess) -> list[int]:
    """The processes of the hub, without its supervisor."""
    with open(f"/proc/{hub.pid}/task/{hub.pid}/children") as children:
        by_main = children.read().split()
    return sorted(map(int, by_main))


def are_others(hub: HubProcess, old: set[int]) -> bool:
    """Whether two workers run, and none of the old ones."""
    now = set(workers(hub))
    return len(now) == 2 and not now & old


def started(hub: HubProcess) -> list[int]:
    """Every worker that was ever ready, the first one first."""
    return [int(pid) for pid in re.findall(r"started worker=\d+ pid=(\d+)", hub.log())]


def is_alive(pid: int) -> bool:
    with suppress(FileNotFoundError), open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"
    return False


def test_several_processes_without_redis_stop_the_start() -> None:
    command = [sys.executable, "-m", "tocsin", "serve", "--processes", "2", "--port", "0"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert result.returncode == 2
    assert "processes: 2: with the journal 'memory:'" in result.stderr
    assert result.stderr.count("\n") == 1


def test_redis_that_is_not_there_stops_the_start() -> None:
    (port,) = free_ports(1)
    journal = f"redis://127.0.0.1:{port}/0"
    command = [sys.executable, "-m", "tocsin", "serve", *FLAGS, "--port", "0", "--journal", journal]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert result.returncode == 2
    assert result.stderr.count("tocsin: journal: Redis at") == 1


def test_processes_serve_one_log_and_each_has_its_own_metrics(
    start_hub: StartHub, flags: tuple[str, ...], open_streams: OpenStreams
) -> None:
    ports = free_ports(1)
    while not is_free(ports[0] + 1):
        ports = free_ports(1)
    hub = start_hub(*flags, "--metrics-listen", f"127.0.0.1:{ports[0]}", "--simulate", "3600")
    streams = open_streams(hub.port, 20)
    ids = {str(hub.publish(message=f"{n}")["id"]) for n in range(20)}
    for stream in streams:
        stream.read_until(lambda text: all(each in text for each in ids))
    own_ports = (ports[0], ports[0] + 1)
    taken = 'tocsin_http_requests_total{code="200",handler="notify",method="POST"}'
    assert sum(metric(port, "tocsin_clients") for port in own_ports) == len(streams)
    assert sum(metric(port, taken) for port in own_ports) == len(ids)
    wait_until(lambda: hub.get("/api/stats")["clients"] == 20, what="all clients to be counted")
    assert exchange(hub.port, get("/metrics")).status == 404
    assert hub.stop() == 0


def test_page_leads_from_one_process_to_many_nodes(
    start_hub: StartHub, redis: RedisProcess, tmp_path: Path, open_streams: OpenStreams
) -> None:
    page = (Path(__file__).parents[2] / "docs/production.md").read_text()
    section = page.partition("## When one process is not enough\n")[2]
    commands = re.findall(r"^tocsin serve (.*?) *#", section, re.MULTILINE)
    assert len(commands) == 3
    ours = [re.sub(r"redis://\S+", redis.url, each) for each in commands]
    alone, one, other = (
        start_hub(*each.replace("hub.db", str(tmp_path / "hub.db")).split(), "--canary", "0")
        for each in ours
    )
    event = alone.publish()["id"]
    alone.restart()
    assert alone.get("/api/history")["events"][-1]["id"] == event
    (stream,) = open_streams(other.port, 1)
    event = one.publish()["id"]
    stream.read_until(lambda text: event in text)


def test_ticket_of_one_process_is_good_for_the_others(
    start_hub: StartHub, flags: tuple[str, ...], tmp_path: Path
) -> None:
    keys = ("--keys", str(tmp_path / "keys.toml"))
    command = [sys.executable, "-m", "tocsin", "key", "add", "page", *keys, "--subscribe", "*"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    hub = start_hub(*flags, *keys)
    one, other = workers(hub)
    os.kill(one, signal.SIGSTOP)
    fields = f"Host: localhost\r\nContent-Length: 0\r\nAuthorization: Bearer {done.stdout.strip()}"
    answer = exchange(hub.port, f"POST /api/ticket HTTP/1.1\r\n{fields}\r\n\r\n".encode())
    os.kill(other, signal.SIGSTOP)
    os.kill(one, signal.SIGCONT)
    history = exchange(hub.port, get("/api/history?ticket=" + answer.json["ticket"]))
    os.kill(other, signal.SIGCONT)
    assert history.status == 200


def test_worker_that_dies_is_started_again(start_hub: StartHub, flags: tuple[str, ...]) -> None:
    hub = start_hub(*flags)
    killed = workers(hub)[0]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len(set(workers(hub)) - {killed}) == 2, what="a new one")
    hub.publish()
    assert hub.stop() == 0


def test_worker_that_dies_again_and_again_ends_all(
    start_hub: StartHub, flags: tuple[str, ...]
) -> None:
    hub = start_hub(*flags)
    victims = threading.Event()

    def kill_the_youngest() -> None:
        while not victims.wait(0.05):
            with suppress(OSError, IndexError):
                os.kill(workers(hub)[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill_the_youngest)
    killer.start()
    try:
        assert hub.wait() != 0
    finally:
        victims.set()
        killer.join()
    assert "can't be kept running" in hub.log()


def test_starts_that_failed_while_redis_was_away_are_no_deaths(start_hub: StartHub) -> None:
    with closing(RedisProcess()) as redis:
        hub = start_hub(*FLAGS, "--journal", redis.url)
        redis.kill()
        os.kill(started(hub)[0], signal.SIGKILL)
        wait_until(lambda: hub.log().count("code=2") == MOST_DEATHS - 2, what="failed starts")
        redis.restart()
        wait_until(lambda: len(started(hub)) == 3, what="one that succeeds")
        os.kill(started(hub)[-1], signal.SIGKILL)
        wait_until(lambda: len(started(hub)) == 4 or "can't be kept" in hub.log())
        assert sorted((started(hub)[1], started(hub)[-1])) == workers(hub)
        assert hub.stop() == 0


@pytest.mark.parametrize("to_all", [False, True], ids=["supervisor", "all-as-systemd-does"])
def test_stop_ends_every_process_and_every_stream(
    start_hub: StartHub, flags: tuple[str, ...], open_streams: OpenStreams, to_all: bool
) -> None:
    hub = start_hub(*flags)
    pids = workers(hub)
    streams = open_streams(hub.port, 6)
    for pid in (hub.pid, *pids) if to_all else (hub.pid,):
        os.kill(pid, signal.SIGTERM)
    for stream in streams:
        assert "event: busy" in stream.read_to_end()
    assert hub.wait() == 0
    assert "stopped processes=2" in hub.log()  # it waited for them
    assert not any(map(is_alive, pids))


def test_second_signal_ends_all_at_once(start_hub: StartHub, flags: tuple[str, ...]) -> None:
    hub = start_hub(*flags, "--drain-delay", "3600")
    pids = workers(hub)
    hub.signal(signal.SIGTERM)
    wait_until(lambda: "not ready any more" in hub.log())
    hub.signal(signal.SIGTERM)
    assert hub.wait() == 0
    assert not any(map(is_alive, pids))


@pytest.mark.parametrize("is_stopping", [False, True], ids=["serving", "stopping"])
def test_workers_end_when_the_supervisor_was_killed(
    start_hub: StartHub, flags: tuple[str, ...], is_stopping: bool
) -> None:
    hub = start_hub(*flags, "--drain-delay", "3600")
    pids = workers(hub)
    if is_stopping:
        hub.signal(signal.SIGTERM)
        wait_until(lambda: hub.log().count("not ready any more") == 2)
    hub.kill()
    wait_until(lambda: not any(map(is_alive, pids)), what="the workers' end")


def test_rolling_restart_refuses_and_resets_nobody(
    start_hub: StartHub, flags: tuple[str, ...]
) -> None:
    """Publishers with a connection for each POST, some that keep theirs, and new streams, all the while."""
    hub = start_hub(*flags, "--log-level", "warning")
    before = workers(hub)
    load = Load(hub.port)
    load.start()
    try:
        wait_until(lambda: load.is_warm or load.errors, what="the load")
        hub.signal(signal.SIGHUP)
        wait_until(lambda: are_others(hub, set(before)), what="new workers")
    finally:
        load.stop()
    assert not load.errors, load.errors[:10]
    assert hub.stop() == 0
    assert "Traceback" not in hub.log()


def test_every_process_reads_again_before_one_is_replaced(
    start_hub: StartHub, flags: tuple[str, ...]
) -> None:
    """So that a key which was revoked isn't good in the last process until it is replaced."""
    hub = start_hub(*flags)
    hub.signal(signal.SIGHUP)
    wait_until(lambda: "each process was replaced" in hub.log())
    log = hub.log()
    assert log.count("read again") == 2
    assert log.rindex("read again") < log.index("each process was replaced")


def test_new_process_that_does_not_start_leaves_the_old_ones(
    start_hub: StartHub, flags: tuple[str, ...], tmp_path: Path
) -> None:
    config = tmp_path / "hub.toml"
    config.write_text("heartbeat = 20\n")
    hub = start_hub(*flags, "--config", str(config))
    before = workers(hub)
    config.write_text("heartbeat = -1\n")
    hub.signal(signal.SIGHUP)
    wait_until(lambda: "a new process didn't start" in hub.log())
    assert workers(hub) == before
    hub.publish()


def test_service_manager_hears_of_the_supervisor_alone_and_a_frozen_worker_is_killed(
    start_hub: StartHub, flags: tuple[str, ...], tmp_path: Path
) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(PATIENCE_S)
        hub = start_hub(*flags, env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "2000000"})
        assert manager.recv(4_096).decode().startswith("READY=1\nSTATUS=listens at")
        assert manager.recv(4_096) == b"WATCHDOG=1"
        frozen = workers(hub)[0]
        os.kill(frozen, signal.SIGSTOP)
        wait_until(lambda: not is_alive(frozen), what="its end")
        hub.signal(signal.SIGTERM)
        told = manager.recv(4_096)
        while told == b"WATCHDOG=1":
            told = manager.recv(4_096)
        assert told == b"STOPPING=1\nEXTEND_TIMEOUT_USEC=7000000"
        assert hub.wait() == 0


class Stream:
    """An open stream, as text."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._socket.sendall(get("/events", version="1.0"))
        self._text = ""
        self.read_until(lambda text: "event: connection" in text)

    def read_until(self, is_enough) -> None:  # type: ignore[no-untyped-def]
        while not is_enough(self._text):
            data = self._socket.recv(65_536)
            assert data, f"the stream ended: {self._text[-300:]}"
            self._text += data.decode()

    def read_to_end(self) -> str:
        while data := self._socket.recv(65_536):
            self._text += data.decode()
        return self._text

    def close(self) -> None:
        self._socket.close()


class Load:
    """Clients in threads; what none of them should see is in `errors`."""

    def __init__(self, port: int) -> None:
        self.errors: list[str] = []
        self._port = port
        self._over = threading.Event()
        self._done = {"POST": 0, "kept POST": 0, "stream": 0}
        self._threads = [
            threading.Thread(target=self._run, args=each)
            for each in (
                *(("POST", self._publish),) * 2,
                ("kept POST", self._publish_on),
                *(("stream", self._open),) * 2,
            )
        ]

    @property
    def is_warm(self) -> bool:
        return min(self._done.values()) > 5

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, name: str, act) -> None:  # type: ignore[no-untyped-def]
        while not self._over.is_set():
            try:
                act(name)
            except (OSError, AssertionError) as error:
                self.errors.append(f"{name}: {error!r}")
            time.sleep(0.005)

    def _publish(self, name: str) -> None:
        answer = exchange(self._port, post(notice()))
        assert answer.status == 200, answer
        self._done[name] += 1

    def _publish_on(self, name: str) -> None:
        """POST over one connection until the hub says that it ends."""
        body = b'{"type": "t", "message": "m"}'
        request = (
            b"POST /api/notify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        with socket.create_connection(("127.0.0.1", self._port), PATIENCE_S) as connection:
            while not self._over.is_set():
                connection.sendall(request + body)
                answer = b""
                while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
                    data = connection.recv(65_536)
                    assert data, "closed without an answer"
                    answer += data
                assert answer.startswith(b"HTTP/1.1 200 "), answer
                self._done[name] += 1
                if b"Connection: close" in answer:
                    return

    def _open(self, name: str) -> None:
        with closing(Stream(self._port)):
            pass
        self._done[name] += 1


def metric(port: int, sample: str) -> float:
    """The value of a sample; one with labels that never were isn't there, and is 0."""
    text = exchange(port, get("/metrics")).body.decode()
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def is_free(port: int) -> bool:
    with suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False
