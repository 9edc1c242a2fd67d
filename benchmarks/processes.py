"""What several processes cost beside one, and what an event through Redis costs each who has to do with it.

    python benchmarks/processes.py            # some two minutes; writes docs/benchmarks/processes.json

Needs `redis-server`, and the extra `tocsin[redis]`. The same deliveries are made by one process with the log in memory, by one
with it in Redis, and by two; they take turns, and what is told is the CPU of all who take part, load generator included: other
processes of the machine move times by much, CPU by little. Run it when the machine is quiet all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit
from urllib.request import urlopen

import machine
from redis_nodes import append, cpu_s, free_port, process, redis

from tocsin.bench import Load, hub_at

RESULTS = Path(__file__).parents[1] / "docs/benchmarks/processes.json"

ROUNDS = 5
CLIENTS = 1_000
EVENTS_PER_S = 50
SECONDS = 4.0
EVENTS = 20_000
PUBLISHERS = 32

Sample = dict[str, float]


@contextlib.contextmanager
def hub(journal: str, processes: int) -> Iterator[tuple[int, list[int], list[int]]]:
    """The port of a hub, its processes, and the ports of their metrics."""
    port, metrics_port = free_port(), free_port()
    flags = ("--port", str(port), "--journal", journal, "--log-level", "error", "--canary", "0")
    flags += ("--processes", str(processes), "--metrics-listen", f"127.0.0.1:{metrics_port}")
    metrics = [metrics_port + number for number in range(processes)]
    # The sockets are there before the processes that accept from them: an answer comes from one that runs.
    with process(sys.executable, "-m", "tocsin", "serve", *flags, port=port) as pid:
        for each in metrics:
            urlopen(f"http://127.0.0.1:{each}/healthz", timeout=30).close()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        yield port, [pid, *map(int, children)], metrics


def deliver(port: int, pids: list[int], redis_pid: int, metrics: list[int]) -> Sample:
    """Publish at a fixed rate to streams that all get it; microseconds of CPU a delivery, and how streams are spread."""
    with Load(hub_at(f"http://127.0.0.1:{port}"), CLIENTS, 4, topics=["bench/p"]) as load:
        load.at_rate(EVENTS_PER_S, 0.5)
        clients = [_clients(each) for each in metrics]
        before = [sum(map(cpu_s, pids)), cpu_s(redis_pid), time.process_time()]
        outcome = load.at_rate(EVENTS_PER_S, SECONDS)
        after = [sum(map(cpu_s, pids)), cpu_s(redis_pid), time.process_time()]
    if outcome.missing or outcome.errors:
        sys.exit(f"deliveries are missing: {outcome}")
    hub_s, redis_s, load_s = (b - a for a, b in zip(before, after, strict=True))
    count = outcome.deliveries
    return {
        "hub_us_per_delivery": 1e6 * hub_s / count,
        "all_us_per_delivery": 1e6 * (hub_s + redis_s + load_s) / count,
        "hub_busy": hub_s / outcome.seconds,
        "redis_busy": redis_s / outcome.seconds,
        "deliveries_per_s": outcome.deliveries_per_s,
        "most_clients_of_a_process": max(clients),
    }


def _clients(metrics_port: int) -> float:
    with urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=30) as answer:
        found = re.search(r"^tocsin_clients (\S+)$", answer.read().decode(), re.MULTILINE)
    assert found
    return float(found[1])


def measure_deliveries() -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {}
    with redis() as (url, redis_pid):
        ways = {
            "one process, memory": ("memory:", 1),
            "one process, Redis": (url, 1),
            "two processes, Redis": (url, 2),
        }
        for _ in range(ROUNDS):
            for name, (journal, processes) in ways.items():
                with hub(journal, processes) as (port, pids, metrics):
                    samples.setdefault(name, []).append(deliver(port, pids, redis_pid, metrics))
    return samples


# --- an event through Redis ---------------------------------------------------------------------------


def measure_events() -> dict[str, list[Sample]]:
    """What an event costs its node, Redis, and a node that only follows, without any client."""
    samples: dict[str, list[Sample]] = {}
    for _ in range(ROUNDS):
        for batch, publishers in ((1, PUBLISHERS), (32, 8)):
            name = f"{publishers} publishers, {batch} events each time"
            samples.setdefault(name, []).append(events_through_redis(batch, publishers))
    return samples


def events_through_redis(batch: int, publishers: int) -> Sample:
    with redis() as (url, pid):
        empty = info(url)
        asyncio.run(
            append(url, pid, batch, publishers, EVENTS)
        )  # so that each start loads a window
        before = info(url)
        rate, redis_us, node_us = asyncio.run(append(url, pid, batch, publishers, EVENTS))
        alone = info(url)
        with hub(url, 1) as (_, (hub_pid, *_), _):
            hub_s, middle = cpu_s(hub_pid), info(url)
            _, followed_us, _ = asyncio.run(append(url, pid, batch, publishers, EVENTS))
            time.sleep(0.5)  # so that it has read the last ones
            hub_s, after = cpu_s(hub_pid) - hub_s, info(url)
    sent_alone = alone["total_net_output_bytes"] - before["total_net_output_bytes"]
    sent_to_two = after["total_net_output_bytes"] - middle["total_net_output_bytes"]
    return {
        "events_per_s": rate,
        "node_us_per_event": node_us,
        "follower_us_per_event": 1e6 * hub_s / EVENTS,
        "redis_us_per_event": redis_us,
        "redis_us_per_event_and_follower": max(followed_us - redis_us, 0.0),
        "bytes_into_redis": (alone["total_net_input_bytes"] - before["total_net_input_bytes"])
        / EVENTS,
        "bytes_to_a_follower": (sent_to_two - sent_alone) / EVENTS,
        "redis_bytes_per_event": (before["used_memory"] - empty["used_memory"]) / EVENTS,
    }


def info(url: str) -> dict[str, float]:
    """The numbers that Redis says of itself."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(b"INFO\r\n")
        text = b""
        while not text.endswith(b"\r\n") or text.count(b"# Keyspace") == 0:
            text += connection.recv(65_536)
    pairs = re.findall(rb"^(\w+):(\d+)\r$", text, re.MULTILINE)
    return {name.decode(): float(value) for name, value in pairs}


def medians(samples: list[Sample]) -> Sample:
    return {name: median(sample[name] for sample in samples) for name in samples[0]}


def main() -> None:
    results = {
        "machine": machine.describe(),
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "clients": CLIENTS,
        "events_per_s": EVENTS_PER_S,
        "deliveries": measure_deliveries(),
        "events": measure_events(),
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    for part in ("deliveries", "events"):
        for name, samples in results[part].items():
            print(name)
            for figure, value in medians(samples).items():
                print(f"  {figure:32} {value:12,.2f}")
    deliveries = {name: medians(each) for name, each in results["deliveries"].items()}
    one, two = deliveries["one process, Redis"], deliveries["two processes, Redis"]
    for figure in ("hub_us_per_delivery", "all_us_per_delivery"):
        print(
            f"deliveries per CPU second, two over one, by {figure}: {one[figure] / two[figure]:.2f}"
        )


if __name__ == "__main__":
    main()
