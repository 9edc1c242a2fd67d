"""How costs grow: a delivery's with the number of clients, a replayed event's with the number missed."""

from __future__ import annotations

from plan import Case, Row

from rows.fan_out import one_after_the_other
from rows.reconnecting import reconnecting

CLIENTS = (100, 1_000, 5_000, 15_000)
MISSED = (100, 1_000, 10_000)
MEASURED = ("tocsin", "nchan", "cloop")

STREAMS = Row(
    name="growth-clients",
    title="cost per delivery as clients grow, one event after the other",
    cases=tuple(
        Case(f"{count:,} clients", MEASURED, one_after_the_other(count)) for count in CLIENTS
    ),
    figures=("us_per_delivery", "deliveries_per_s", "fan_out_p99", "server_busy", "load_busy"),
    compared=("us_per_delivery", "deliveries_per_s"),
    note=(
        "The event's POST is part of the cost: a hundredth of it for each delivery to 100 clients. From some"
        " thousands of clients on, their sockets no longer fit into the processor's caches, in C as well."
    ),
)

REPLAY = Row(
    name="growth-replay",
    title="cost per replayed event as more were missed, 200 clients at once",
    cases=tuple(
        Case(
            f"{missed:,} missed",
            ("tocsin", "nchan"),
            reconnecting(200, missed),
            quick=missed < 10_000,
        )
        for missed in MISSED
    ),
    figures=("us_per_replayed", "events_per_s", "caught_up_per_s", "server_busy"),
    compared=("us_per_replayed", "events_per_s"),
)
