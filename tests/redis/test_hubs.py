"""Real hubs on one Redis, as clients, publishers and operators see them when something happens to it."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.conftest import StartHub
from tests.hub_process import HubProcess, free_ports
from tests.patience import PATIENCE_S, wait_until
from tests.raw import exchange, get, notice, post
from tests.redis.proxy import proxy_to
from tests.redis_process import RedisProcess
from tests.sse import EventStreamParser, ServerSentEvent

FLAGS = ("--canary", "0", "--retry", "1000", "--heartbeat", "0.2", "--log-level", "warning")


class Listener:
    """One stream, read when somebody asks."""

    def __init__(self, hub: HubProcess, last_event_id: str = "", path: str = "/events") -> None:
        self._socket = socket.create_connection(("127.0.0.1", hub.port), PATIENCE_S)
        header = (f"Last-Event-ID: {last_event_id}",) if last_event_id else ()
        self._socket.sendall(get(path, *header, version="1.0"))
        self._parser = EventStreamParser()
        self._events: list[ServerSentEvent] = []
        self.last_id = ""
        self._is_body = False
        self.heartbeats = 0

    def next(self) -> ServerSentEvent | None:
        """The next event; None at the stream's end."""
        while not self._events:
            data = self._socket.recv(65_536)
            if not data:
                return None
            if not self._is_body:
                _, self._is_body, data = data.partition(b"\r\n\r\n")  # type: ignore[assignment]
            self.heartbeats += data.count(b":\n")
            self._events += self._parser.feed(data)
        event = self._events.pop(0)
        self.last_id = event.last_event_id or self.last_id
        return event

    def until(self, type: str) -> ServerSentEvent:
        """The next event of this type."""
        while (event := self.next()) and event.type != type:
            pass
        assert event, f"the stream ended without {type}"
        return event

    def to_the_end(self) -> list[str]:
        """The types of all that comes."""
        types = []
        while event := self.next():
            types.append(event.type)
        return types

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._socket.close()


def is_ready(hub: HubProcess) -> bool:
    return exchange(hub.port, get("/readyz")).status == 200


def test_event_reaches_the_streams_of_every_hub_under_one_id(
    start_hub: StartHub, shared_redis: RedisProcess, prefix: str
) -> None:
    flags = (*FLAGS, "--journal", shared_redis.url, "--redis-prefix", prefix)
    one, other = start_hub(*flags), start_hub(*flags)
    with Listener(other) as listener:
        listener.until("connection")
        published = one.publish(message="bonjour")
        event = listener.until("notification")
        assert event.json["message"] == "bonjour"
        assert event.last_event_id == published["id"]
    with Listener(one, published["id"]) as again:
        assert again.until("connection").json["missed"] == 0


def test_hub_that_is_started_again_goes_on_with_the_log(
    start_hub: StartHub, shared_redis: RedisProcess, prefix: str
) -> None:
    hub = start_hub(*FLAGS, "--journal", shared_redis.url, "--redis-prefix", prefix)
    first = hub.publish(message="one")["id"]
    hub.publish(message="two")
    hub.restart()
    with Listener(hub, first) as listener:
        welcome = listener.until("connection").json
        assert (welcome["resumed"], welcome["missed"]) == (True, 0)
        assert listener.until("notification").json["message"] == "two"


def test_streams_outlive_a_redis_that_is_gone_and_publishers_are_told(
    start_hub: StartHub, redis: RedisProcess
) -> None:
    hub = start_hub(*FLAGS, "--journal", redis.url)
    with Listener(hub) as listener:
        hub.publish(message="before")
        listener.until("notification")
        redis.kill()
        wait_until(lambda: not is_ready(hub))
        refused = exchange(hub.port, post(notice()))
        assert (refused.status, refused.json["code"]) == (503, "journal_down")
        assert int(refused.headers["retry-after"]) >= 1
        assert "Redis" in exchange(hub.port, get("/readyz")).json["error"]
        assert hub.metric("tocsin_journal_up") == 0
        redis.restart()
        wait_until(lambda: is_ready(hub))
        hub.publish(message="after")
        assert listener.until("notification").json["message"] == "after"
        assert listener.heartbeats > 1


async def test_hub_that_is_cut_off_says_so_and_its_streams_get_all_in_order_afterwards(
    start_hub: StartHub, redis: RedisProcess
) -> None:
    async with proxy_to(redis.port) as proxy:

        def begin() -> tuple[HubProcess, HubProcess, Listener]:
            cut_off = start_hub(*FLAGS, "--journal", f"redis://127.0.0.1:{proxy.port}/0")
            other = start_hub(*FLAGS, "--journal", redis.url)
            listener = Listener(cut_off)
            listener.until("connection")
            return cut_off, other, listener

        def publish_to_both() -> None:
            wait_until(lambda: not is_ready(cut_off))
            for n in range(20):
                other.publish(message=f"{n}")
            refused = exchange(cut_off.port, post(notice(message="lost")))
            assert (refused.status, refused.json["code"]) == (503, "journal_down")

        def read_on() -> list[str]:
            wait_until(lambda: is_ready(cut_off))
            cut_off.publish(message="last")
            found = [listener.next() for _ in range(21)]
            assert {event and event.type for event in found} == {"notification"}
            return [event.json["message"] for event in found if event]

        cut_off, other, listener = await asyncio.to_thread(begin)
        with listener:
            proxy.holds_answers = (
                True  # as behind a partition: nothing comes, and nothing is closed
            )
            await asyncio.to_thread(publish_to_both)
            proxy.holds_answers = False
            messages = await asyncio.to_thread(read_on)
            assert messages == [*map(str, range(20)), "last"]


def test_emptied_redis_ends_the_streams_which_come_back_to_a_gap(
    start_hub: StartHub, redis: RedisProcess
) -> None:
    hub = start_hub(*FLAGS, "--journal", redis.url)
    with Listener(hub) as listener:
        hub.publish(message="before")
        listener.until("notification")
        redis.ask("FLUSHALL")
        assert listener.to_the_end() == ["busy"]
        last_id = listener.last_id
    with Listener(hub, last_id) as again:
        assert again.until("gap").json["reason"] == "restart"
        hub.publish(message="after")
        again.until("notification")
    assert hub.metric('tocsin_journal_resets_total{reason="new_log"}') == 1


def test_events_trimmed_before_a_hub_read_them_are_told_as_a_gap(
    start_hub: StartHub, redis: RedisProcess
) -> None:
    flags = (*FLAGS, "--journal", redis.url, "--history-events", "10")
    slow, quick = start_hub(*flags), start_hub(*flags)
    with Listener(slow) as listener:
        slow.publish(message="before")
        listener.until("notification")
        slow.signal(19)
        for n in range(50):
            quick.publish(message=f"{n}")
        wait_until(lambda: redis.ask("XLEN", "{tocsin}:events") == b":10\r\n")
        slow.signal(18)
        assert listener.to_the_end()[-1] == "busy"
        last_id = listener.last_id
    with Listener(slow, last_id) as again:
        gap = again.until("gap").json
        assert (gap["reason"], gap["missed"]) == ("evicted", 41 - int(last_id.partition("-")[2]))
        assert again.until("notification").json["message"] == "40"
    assert slow.metric('tocsin_journal_resets_total{reason="hole"}') == 1


def test_clients_begin_where_the_log_goes_on_while_it_is_trimmed_all_the_time(
    start_hub: StartHub, shared_redis: RedisProcess, prefix: str
) -> None:
    """Each is told of the gap once, and then gets events: the hub hears a second later what was trimmed."""
    flags = (*FLAGS, "--redis-prefix", prefix, "--journal", shared_redis.url)
    hub = start_hub(*flags, "--history-events", "1000", "--window-events", "20")
    first = hub.publish(message="first")["id"]
    batch = json.dumps([{"type": "notification", "message": "x", "topic": "a/b"}] * 10).encode()
    stopping = threading.Event()

    def publish() -> None:
        while not stopping.wait(0.04):
            exchange(hub.port, post(batch))

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        wait_until(lambda: hub.metric('tocsin_history_evicted_total{reason="journal"}') > 500)
        for path in ("/events", "/events?topic=a/*") * 6:
            with Listener(hub, first, path) as listener:
                types = [event.type for event in (listener.next() for _ in range(12)) if event]
            assert types == ["connection", "gap", *["notification"] * 10]
            time.sleep(0.15)
    finally:
        stopping.set()
        publisher.join()


def test_retry_on_another_hub_is_one_event_with_the_first_id(
    start_hub: StartHub, shared_redis: RedisProcess, prefix: str
) -> None:
    flags = (*FLAGS, "--journal", shared_redis.url, "--redis-prefix", prefix)
    one, other = start_hub(*flags), start_hub(*flags)
    request = post(notice(), "Idempotency-Key: k-1")
    first, again = exchange(one.port, request), exchange(other.port, request)
    assert (first.status, again.status) == (200, 200)
    assert (again.json["id"], again.json["duplicate"]) == (first.json["id"], True)
    reused = exchange(one.port, post(notice(message="other"), "Idempotency-Key: k-1"))
    assert (reused.status, reused.json["code"]) == (409, "key_reused")
    assert other.publish()["id"].endswith("-2")


def test_unknown_outcome_is_told_and_the_key_makes_the_retry_safe(
    start_hub: StartHub, redis: RedisProcess
) -> None:
    hub = start_hub(*FLAGS, "--journal", redis.url)
    hub.publish()  # or it would fail to connect, and knew that nothing was published
    request = post(notice(), "Idempotency-Key: k-1")
    redis.pause()
    unknown = exchange(hub.port, request)
    assert (unknown.status, unknown.json["code"]) == (503, "unknown_outcome")
    redis.resume()
    wait_until(lambda: is_ready(hub))
    again = exchange(hub.port, request)
    assert again.json["id"].endswith("-2")
    assert hub.publish()["id"].endswith("-3")


def test_full_redis_is_told_as_507(start_hub: StartHub, redis: RedisProcess) -> None:
    hub = start_hub(*FLAGS, "--journal", redis.url)
    redis.ask("CONFIG", "SET", "maxmemory", "1")
    full = exchange(hub.port, post(notice()))
    assert (full.status, full.json["code"]) == (507, "journal_full")
    assert int(full.headers["retry-after"]) >= 1
    wait_until(lambda: not is_ready(hub))  # seen also where nobody publishes
    ready = exchange(hub.port, get("/readyz"))
    assert ready.status == 503
    assert "memory" in ready.json["error"]
    assert hub.metric("tocsin_journal_up") == 0
    full = exchange(hub.port, post(notice()))
    assert (full.status, full.json["code"]) == (507, "journal_full")
    redis.ask("CONFIG", "SET", "maxmemory", "0")
    wait_until(lambda: is_ready(hub))
    assert hub.publish()["id"].endswith("-1")
    wait_until(lambda: "the journal is up again" in hub.log())
    assert hub.log().count("the journal is down") == 1


def test_secrets_are_in_no_log_and_no_answer(start_hub: StartHub) -> None:
    redis = RedisProcess("--requirepass", "not-to-be-shown")
    try:
        env = {"TOCSIN_REDIS_PASSWORD": "not-to-be-shown"}
        flags = ("--canary", "0", "--log-level", "debug", "--journal", redis.url)
        hub = start_hub(*flags, env=env)
        hub.publish()
        redis.kill()
        wait_until(lambda: not is_ready(hub))
        answers = [exchange(hub.port, get(path)).body for path in ("/readyz", "/api/stats")]
        assert "not-to-be-shown" not in hub.log() + str(answers)
    finally:
        redis.close()


def test_start_without_redis_is_one_line_and_code_2() -> None:
    (port,) = free_ports(1)
    result = _serve("--journal", f"redis://127.0.0.1:{port}/0")
    assert result.returncode == 2
    assert result.stderr.startswith(f"tocsin: journal: Redis at redis://127.0.0.1:{port}/0: ")
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--journal", "redis://me:secret@cache/0"), "TOCSIN_REDIS_PASSWORD"),
        (("--journal", "redis://cache/x"), "allowed: redis://HOST:PORT/DB"),
        (("--redis-prefix", "{a}"), "--redis-prefix: '{a}'"),
    ],
)
def test_bad_settings_of_redis_are_one_line_and_code_2(flags: tuple[str, ...], said: str) -> None:
    result = _serve(*flags)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert said in result.stderr
    assert "secret" not in result.stderr


def test_start_without_the_extra_says_what_to_install(tmp_path: Path) -> None:
    missing = 'raise ModuleNotFoundError("No module named \'redis\'", name="redis")'
    (tmp_path / "redis.py").write_text(missing)
    result = _serve("--journal", "redis://cache/0", path=str(tmp_path))
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "pip install 'tocsin[redis]'" in result.stderr


def _serve(*flags: str, path: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tocsin", "serve", *flags]
    env = {"PYTHONPATH": path} if path else None
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=env
    )
