"""What N clients and M events a second need, worked out from what was measured: the tables of docs/scaling.md.

    python benchmarks/scaling.py            # print the tables
    python benchmarks/scaling.py --write    # put them into docs/scaling.md

Every constant comes from docs/benchmarks/results.json and docs/benchmarks/processes.json, but for the few that say that they are
assumed. A new run of the benchmarks changes the tables; a test holds that the document has them as they are.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
DOCUMENT = DOCS / "scaling.md"

BUSY = 0.6
"""Share of a core that a process may use on average: the rest is for bursts, returns and garbage. Chosen."""

LAST_READER_S = 0.5
"""An event for everybody reaches the last client of its process in that time. Chosen."""

MAX_CLIENTS = 50_000
"""Clients of one process at most, so that a process that dies sends no more than that many to the others. Chosen."""

KERNEL_KIB = 4.0
"""Memory of the kernel for one idle connection: assumed, as it is no process' and differs by its version."""

CORES = 16
"""Cores of a machine for the hub. Chosen."""

LINK_MB = 1_000.0
"""What a network of 10 Gbit/s carries, in MB/s. Chosen."""

DELIVERY_BYTES = 400.0
"""An event with a message of 100 bytes, as a client gets it, with the heads of TCP and IP: assumed."""

PROCESS_MIB = 60.0
"""A process without clients, with a window of 10,000 small events: assumed, rounded up."""

EVERYBODY, OWN_TOPIC = "an event a second for everybody", "an event a minute for each, of its own"
QUIET = "an event in ten seconds for everybody"


@dataclass(frozen=True)
class Costs:
    """What things take: microseconds of CPU, bytes, KiB."""

    delivery_us: float
    post_us: float
    append_us: float
    follow_us: float
    redis_us: float
    redis_follower_us: float
    into_redis: float
    to_follower: float
    kept_bytes: float
    client_kib: float
    client_topic_kib: float


@dataclass(frozen=True)
class Load:
    """What is asked for: clients, events a second in all, and how many clients an event is for."""

    clients: float
    events_per_s: float
    recipients: float

    @property
    def deliveries_per_s(self) -> float:
        return self.events_per_s * self.recipients


def read_results(name: str) -> Any:
    """What a benchmark has written: each figure of every round."""
    return json.loads((DOCS / "benchmarks" / name).read_text())


def figure(samples: Sequence[dict[str, float]], name: str) -> float:
    return median(sample[name] for sample in samples)


def measured() -> Costs:
    """The costs, as they were measured last."""
    rows = read_results("results.json")["rows"]
    events = read_results("processes.json")["events"]
    through = events["32 publishers, 1 events each time"]

    def of(row: str, load: str, name: str) -> float:
        return figure(rows[row]["samples"][load]["tocsin"], name)

    return Costs(
        delivery_us=of("growth-clients", "15,000 clients", "us_per_delivery"),
        post_us=of("publish", "32 publishers, no client", "us_per_publish"),
        append_us=figure(through, "node_us_per_event"),
        follow_us=figure(through, "follower_us_per_event"),
        redis_us=figure(through, "redis_us_per_event"),
        redis_follower_us=figure(through, "redis_us_per_event_and_follower"),
        into_redis=figure(through, "bytes_into_redis"),
        to_follower=figure(through, "bytes_to_a_follower"),
        kept_bytes=figure(through, "redis_bytes_per_event"),
        client_kib=of("memory", "10,000 idle clients", "kib_per_client"),
        client_topic_kib=of(
            "memory-topics", "10,000 idle clients with a topic each", "kib_per_client"
        ),
    )


# --- the model ----------------------------------------------------------------------------------------


def cores_of_hub(load: Load, processes: int, costs: Costs) -> float:
    """Cores that all processes use: what is delivered, what is published, and what each process reads of the log."""
    delivered = load.deliveries_per_s * costs.delivery_us
    published = load.events_per_s * (costs.post_us + costs.append_us)
    followed = load.events_per_s * costs.follow_us * (processes - 1)
    return (delivered + published + followed) / 1e6


def cores_of_redis(events_per_s: float, followers: int, costs: Costs) -> float:
    """Share of the one core that Redis has."""
    return events_per_s * (costs.redis_us + costs.redis_follower_us * (followers - 1)) / 1e6


def megabytes_from_redis(events_per_s: float, followers: int, costs: Costs) -> float:
    """MB a second to all who follow."""
    return events_per_s * costs.to_follower * followers / 1e6


def processes_for(load: Load, costs: Costs) -> int | None:
    """The least number of processes that carry the load; None where no number does, as each reads all events."""
    by_last_reader = LAST_READER_S / (costs.delivery_us / 1e6)
    least = ceil(load.clients / min(by_last_reader, MAX_CLIENTS))
    left_us = BUSY * 1e6 - load.events_per_s * costs.follow_us
    if left_us <= 0:
        return None
    own_us = costs.post_us + costs.append_us - costs.follow_us
    needed = load.deliveries_per_s * costs.delivery_us + load.events_per_s * own_us
    return max(least, ceil(needed / left_us), 1)


def memory_gib(load: Load, processes: int, costs: Costs) -> float:
    """Of all processes and of the kernel, for connections that are idle."""
    client = costs.client_kib if load.recipients > 1 else costs.client_topic_kib
    return (load.clients * (client + KERNEL_KIB) / 2**20) + processes * PROCESS_MIB / 2**10


def wall(followers: int, costs: Costs) -> tuple[float, str]:
    """Events a second that one stream key carries to so many processes, and what stops more."""
    limits = {
        "each process reads all": BUSY * 1e6 / costs.follow_us,
        "Redis' core": BUSY * 1e6 / (costs.redis_us + costs.redis_follower_us * (followers - 1)),
        "Redis' network": LINK_MB * 1e6 / (costs.to_follower * followers),
    }
    name = min(limits, key=limits.__getitem__)
    return limits[name], name


# --- the tables ---------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def rounded(value: float) -> str:
    """Two figures that count: it is no more exact."""
    if value == 0:
        return "0"
    digits = 2 - len(str(int(value))) if value >= 1 else 2
    shown = round(value, digits)
    return f"{shown:,.0f}" if shown >= 10 else f"{shown:g}"


def costs_table(costs: Costs) -> str:
    rows = [
        ("a delivery, among 15,000 clients", f"{costs.delivery_us:.1f} µs of a process", "growth-clients"),
        ("a POST", f"{costs.post_us:.1f} µs of the process that takes it", "publish"),
        ("its event, into Redis and back", f"{costs.append_us:.1f} µs more of it", "processes"),
        ("the same event", f"{costs.follow_us:.1f} µs of every other process", "processes"),
        ("the same event", f"{costs.redis_us:.1f} µs of Redis, and {costs.redis_follower_us:.1f} for each process more", "processes"),
        ("the same event", f"{costs.into_redis:.0f} bytes into Redis, {costs.to_follower:.0f} to each process", "processes"),
        ("an event that is kept", f"{costs.kept_bytes:.0f} bytes of Redis' memory", "processes"),
        ("an idle client", f"{costs.client_kib:.2f} KiB of a process; with a topic of its own {costs.client_topic_kib:.2f}", "memory, memory-topics"),
        ("its connection", f"{KERNEL_KIB:g} KiB of the kernel", "assumed"),
        ("a process without clients", f"{PROCESS_MIB:g} MiB", "assumed"),
        ("a delivery", f"{DELIVERY_BYTES:g} bytes on the network", "assumed"),
    ]  # fmt: skip
    return table(("what", "takes", "measured by"), rows)


CLIENTS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
WORK: dict[str, Callable[[float], Load]] = {
    QUIET: lambda clients: Load(clients, 0.1, clients),
    EVERYBODY: lambda clients: Load(clients, 1, clients),
    OWN_TOPIC: lambda clients: Load(clients, clients / 60, 1),
}


def needs_table(costs: Costs) -> str:
    head = ("clients", "work", "events/s", "deliveries/s", "processes", "cores in use")
    head += (f"machines of {CORES} cores", "memory, GiB", "to clients, MB/s")
    head += ("Redis' core", "from Redis, MB/s")
    return table(
        head,
        [needs_row(name, make(n), costs) for name, make in WORK.items() for n in CLIENTS],
    )


def needs_row(name: str, load: Load, costs: Costs) -> list[str]:
    shown = [f"{load.clients:,.0f}", name, rounded(load.events_per_s)]
    shown.append(rounded(load.deliveries_per_s))
    processes = processes_for(load, costs)
    if processes is None:
        return [*shown, "**beyond the wall**", *("",) * 6]
    redis = cores_of_redis(load.events_per_s, processes, costs)
    sent = megabytes_from_redis(load.events_per_s, processes, costs)
    is_too_much = processes > 1 and (redis > BUSY or sent > LINK_MB)
    needs_redis = processes > 1
    return [
        *shown,
        f"{processes:,}" + (" (**beyond Redis**)" if is_too_much else ""),
        rounded(cores_of_hub(load, processes, costs)),
        f"{ceil(processes / CORES):,}",
        rounded(memory_gib(load, processes, costs)),
        rounded(load.deliveries_per_s * DELIVERY_BYTES / 1e6),
        f"{redis:.0%}" if needs_redis else "none",
        rounded(sent) if needs_redis else "none",
    ]


def wall_table(costs: Costs) -> str:
    rows = []
    for followers in (2, 8, 16, 64, 200, 1_000):
        most, why = wall(followers, costs)
        rows.append((f"{followers:,}", rounded(most), why))
    return table(("processes that follow one key", "events/s at most", "what stops more"), rows)


def beyond_table(costs: Costs) -> str:
    """Ten million clients with an event a minute each, in families of topics with a relay on each machine."""
    load = WORK[OWN_TOPIC](10_000_000)
    rows = []
    for keys in (1, 8, 16, 32, 64):
        share = Load(load.clients / keys, load.events_per_s / keys, 1)
        processes = processes_for(share, costs)
        if processes is None:
            rows.append((f"{keys}", rounded(share.events_per_s), "**beyond the wall**", "", "", ""))
            continue
        machines = ceil(processes / CORES)
        direct = cores_of_redis(share.events_per_s, processes, costs)
        relayed = cores_of_redis(share.events_per_s, machines, costs)
        rows.append(
            (
                f"{keys}",
                rounded(share.events_per_s),
                f"{processes:,}",
                f"{processes * keys:,}",
                f"{direct:.0%}",
                f"{relayed:.0%}",
            )
        )
    head = ("keys", "events/s a key", "processes a key", "processes in all", "each Redis' core")
    return table((*head, "the same, one relay a machine"), rows)


@dataclass(frozen=True)
class Check:
    """A load whose cores in use were measured, and what the model says of them."""

    name: str
    measured: float
    model: float


def checks(costs: Costs) -> list[Check]:
    """Two points from which no constant was taken."""
    rows = read_results("results.json")["rows"]
    several = read_results("processes.json")
    pace = rows["pace"]["samples"]["10,000 clients, 10 events/s"]["tocsin"]
    two = several["deliveries"]["two processes, Redis"]
    alone = Load(10_000, 10, 10_000)
    shared = Load(several["clients"], several["events_per_s"], several["clients"])
    by_memory = (alone.deliveries_per_s * costs.delivery_us + 10 * costs.post_us) / 1e6
    return [
        Check("one process, 10,000 clients, 10 events/s", figure(pace, "server_busy"), by_memory),
        Check(
            f"two processes on Redis, {several['clients']:,} clients, {several['events_per_s']} events/s",
            figure(two, "hub_busy"),
            cores_of_hub(shared, 2, costs),
        ),
    ]


def checks_table(costs: Costs) -> str:
    rows = [
        (
            each.name,
            f"{each.measured:.2f}",
            f"{each.model:.2f}",
            f"{each.model / each.measured:.2f}",
        )
        for each in checks(costs)
    ]
    return table(("load", "cores measured", "cores by the model", "ratio"), rows)


def processes_table() -> str:
    several = read_results("processes.json")
    rows = []
    for name, samples in several["deliveries"].items():
        hub, every = figure(samples, "hub_us_per_delivery"), figure(samples, "all_us_per_delivery")
        most = figure(samples, "most_clients_of_a_process")
        rows.append((name, f"{hub:.2f}", f"{every:.2f}", f"{most:,.0f} of {several['clients']:,}"))
    head = (
        "hub",
        "µs of the hub a delivery",
        "µs of all, load generator too",
        "streams of the fuller process",
    )
    return table(head, rows)


TABLES: dict[str, Callable[[Costs], str]] = {
    "costs": costs_table,
    "needs": needs_table,
    "wall": wall_table,
    "beyond": beyond_table,
    "checks": checks_table,
    "processes": lambda _: processes_table(),
}


def rewrite(document: str) -> str:
    """`document` with each table as it is now, between its two marks."""
    costs = measured()
    for name, make in TABLES.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        text = f"{begin}\n{make(costs)}\n{end}"
        document, count = pattern.subn(lambda _, text=text: text, document)
        if count != 1:
            sys.exit(f"docs/scaling.md has no place for the table {name}")
    return document


def main() -> None:
    if "--write" in sys.argv[1:]:
        DOCUMENT.write_text(rewrite(DOCUMENT.read_text()))
        return
    costs = measured()
    for name, make in TABLES.items():
        print(f"{name}\n\n{make(costs)}\n")


if __name__ == "__main__":
    main()
