"""Bodies as large as they may be that lead to nothing: cut off, or refused."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from peers.base import Server
from plan import Case, Goal, Opened, Row, Sample, Term, each_time

from rows.one_post import Publisher
from rows.sample import cpu_s_when_idle
from tocsin.bench import BenchError

BODY_BYTES = 4 * 1024 * 1024
CUT_OFF = 400
REFUSED = 5
HUB = "tocsin-timed"
JSON, LINES = "application/json", "application/x-ndjson"


def watched(count: int, send: Callable[[Server], None]) -> Opened:
    """Send `count` bodies one after the other, and watch the server's memory and its loop."""

    def measure(server: Server, seconds: float) -> Sample:
        cpu_s, before = cpu_s_when_idle(server), server.resident_bytes()
        server.forget_peak()
        server.turns.reset()
        begun, load_s = time.monotonic(), time.process_time()
        for _ in range(count):
            send(server)
        load_s = (time.process_time() - load_s) / (time.monotonic() - begun)
        cpu_s = cpu_s_when_idle(server) - cpu_s
        passed_s, ran_s = server.turns.longest_s()
        return {
            "peak_mib": (server.peak_bytes() - before) / 2**20,
            "kept_mib": (server.resident_bytes() - before) / 2**20,
            "turn_ms": passed_s * 1000,
            "turn_cpu_ms": ran_s * 1000,
            "ms_per_body": cpu_s / count * 1000,
            "load_busy": load_s,
        }

    return each_time(measure)


def cut_off(server: Server) -> None:
    """All bytes of a body but the last, then the connection's end."""
    request = server.target.request_of(FEEDS, content_type=LINES)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        try:
            connection.sendall(request[:-1])
        except OSError:
            return  # refused before all of it was sent


def refused(body: bytes, content_type: str) -> Callable[[Server], None]:
    """A whole body, in a POST that has to be refused: by an answer, or while it is being sent."""

    def send(server: Server) -> None:
        with Publisher(server.target) as publisher:
            try:
                status = publisher.post(server.target.request_of(body, content_type=content_type))
            except BenchError:
                return
        if not 400 <= status < 500:
            raise BenchError(f"a bad body was answered with status {status}")

    return send


def _filled(head: bytes, filling: bytes, tail: bytes) -> bytes:
    """A body of `BODY_BYTES` at most."""
    return head + filling * ((BODY_BYTES - len(head) - len(tail)) // len(filling)) + tail


FEEDS = b"\n" * BODY_BYTES
ONES = _filled(b"[1", b",1", b"]")
SURROGATE = _filled(b'[{"type":"bench","message":"', b"x", b'\\ud800"}]')

CASES = {
    "400 bodies without their last byte": (CUT_OFF, cut_off),
    "[1,1,1,…]": (REFUSED, refused(ONES, JSON)),
    "a lone surrogate at the end": (REFUSED, refused(SURROGATE, JSON)),
    "line feeds only, as NDJSON": (REFUSED, refused(FEEDS, LINES)),
}

ROW = Row(
    name="uploads",
    title="bodies of 4 MiB that lead to nothing",
    cases=tuple(
        Case(name, (HUB,), watched(count, send), once=True, flags=("--canary", "0"))
        for name, (count, send) in CASES.items()
    ),
    figures=("peak_mib", "kept_mib", "turn_ms", "turn_cpu_ms", "ms_per_body", "load_busy"),
    compared=("peak_mib", "turn_ms", "ms_per_body"),
    goals=(
        *(Goal(Term(case, HUB, "peak_mib"), None, 80, at_most=True) for case in CASES),
        *(Goal(Term(case, HUB, "turn_ms"), None, 50, at_most=True) for case in CASES),
    ),
    note="Memory is what the server holds more than before: at most, and when all is over.",
)
