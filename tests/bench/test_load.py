"""The generator against a real hub: what it counts is what happened. No speed is asserted."""

from __future__ import annotations

import re
import select
import socket
import subprocess
import sys
import time

import pytest

from tests.conftest import StartHub
from tocsin.bench import BenchError, Load, Target, hub_at, open_streams
from tocsin.bench.clients import Clients
from tocsin.bench.ledger import Ledger
from tocsin.bench.publishers import Constant, Publishers

CLIENTS = 40


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tocsin", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_command_says_what_the_hub_held(start_hub: StartHub) -> None:
    hub = start_hub()
    done = bench(hub.url, "--clients", str(CLIENTS), "--publishers", "2", "--seconds", "0.5")
    assert (done.returncode, done.stderr) == (0, "")
    published, delivered, missing = (
        int(re.search(rf"^{word} +([\d,]+)", done.stdout, re.MULTILINE)[1].replace(",", ""))  # type: ignore[index]
        for word in ("published", "delivered", "missing")
    )
    assert delivered == published * CLIENTS > 0
    assert missing == 0


def test_command_without_a_hub_fails_in_one_line(start_hub: StartHub) -> None:
    hub = start_hub()
    hub.kill()
    done = bench(hub.url, "--clients", "3")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "connection refused" in done.stderr


def test_load_counts_what_the_hub_counts(start_hub: StartHub) -> None:
    hub = start_hub("--canary", "0")
    with Load(hub_at(hub.url), CLIENTS, 4, topics=["bench"]) as load:
        outcome = load.exactly(100)
    assert (outcome.published, outcome.missing, dict(outcome.errors)) == (100, 0, {})
    assert outcome.fan_out.count == 100
    assert hub.metric('tocsin_events_published_total{source="api"}') == 100
    assert hub.metric('tocsin_events_delivered_total{kind="live"}') == outcome.deliveries


def test_events_go_to_busy_topics_only(start_hub: StartHub) -> None:
    hub = start_hub("--canary", "0")
    with Load(hub_at(hub.url), CLIENTS, 2, topics=["a", "b", "quiet", "quieter"], busy=2) as load:
        outcome = load.exactly(20)
    assert (outcome.published, outcome.missing) == (20, 0)
    history = hub.get("/api/history")["events"]
    assert {event["topic"] for event in history} == {"a", "b"}


def test_clients_catch_up_with_what_they_missed(start_hub: StartHub) -> None:
    hub = start_hub()
    target = Target("127.0.0.1", hub.port)
    with Load(target, 1, 1) as load:
        load.exactly(30)
        since = load.ledger.trail.ids[-21]
    requests = [target.subscribe_request(last_event_id=since)] * CLIENTS
    with open_streams(target, requests, replayed=20) as seconds:
        assert seconds > 0
    assert hub.metric('tocsin_events_delivered_total{kind="replay"}') == CLIENTS * 20


def test_each_load_comes_from_an_address_of_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, select.epoll() as epoll:
        server.settimeout(10)
        target = Target("127.0.0.1", server.getsockname()[1])
        addresses = []
        for _ in range(2):
            clients = Clients(target, epoll, Ledger())
            with pytest.raises(BenchError):  # nobody answers
                clients.open([target.subscribe_request()], deadline=time.monotonic())
            connection, address = server.accept()
            connection.close()
            addresses.append(address[0])
    assert addresses[0] != addresses[1]


def test_full_hub_is_an_error_and_not_a_figure(start_hub: StartHub) -> None:
    hub = start_hub("--max-clients", "5")
    with pytest.raises(BenchError), Load(hub_at(hub.url), 6):
        pass


def test_connection_that_was_closed_while_idle_is_replaced_before_a_measurement() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, select.epoll() as epoll:
        target, ledger = Target("127.0.0.1", server.getsockname()[1]), Ledger()
        publishers = Publishers(target, epoll, ledger, Constant(b""), count=1)
        server.accept()[0].close()
        while not any(event & select.EPOLLIN for _, event in epoll.poll(10)):
            pass
        publishers.renew()
        server.settimeout(10)
        server.accept()[0].close()
        publishers.close()
    assert not ledger.errors
