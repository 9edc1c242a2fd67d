"""What an idle client costs in memory."""

from __future__ import annotations

import time

from peers.base import Server
from plan import Case, Goal, Row, Sample, Term

from tocsin.bench import Load

CLIENTS = 10_000
SETTLE_S = 1.0


def idle_clients(server: Server, seconds: float) -> Sample:
    """Memory of the server's processes with the clients, less that without; sockets are the kernel's."""
    empty = server.memory_bytes()
    with Load(server.target, CLIENTS, 0):
        time.sleep(SETTLE_S)
        return {"kib_per_client": (server.memory_bytes() - empty) / CLIENTS / 1024}


IDLE = "10,000 idle clients"

ROW = Row(
    name="memory",
    title="memory per idle client",
    cases=(
        Case(
            IDLE,
            ("tocsin", "nchan", "express", "better-sse", "tornado", "sse-starlette"),
            idle_clients,
        ),
    ),
    figures=("kib_per_client",),
    goals=(
        Goal(
            Term(IDLE, "tocsin", "kib_per_client"),
            Term(IDLE, "nchan", "kib_per_client"),
            0.45,
            at_most=True,
        ),
    ),
)
