"""``tocsin bench``: puts load on a hub, and says what it held, for people."""

from __future__ import annotations

import secrets
import sys
from typing import TextIO

from tocsin.bench.hub_latency import HubLatency
from tocsin.bench.latency import Latencies
from tocsin.bench.load import Load, Outcome, Progress
from tocsin.bench.target import hub_at

WARM_UP_S = 0.5

BUSY = 0.9
"""Above this share of a core the generator is what limits, so the summary says so."""


def bench(
    url: str,
    *,
    clients: int = 1_000,
    publishers: int = 8,
    seconds: float = 10.0,
    rate: float = 0.0,
    message_bytes: int = 100,
    out: TextIO = sys.stdout,
    progress: TextIO | None = sys.stderr,
) -> Outcome:
    """Put load on the hub at `url`, under a topic of its own, and write a summary to `out`.

    Args:
        url: where the hub is, ``http://`` only; a path in front of its routes is kept.
        clients: open streams; each needs a descriptor here and at the hub.
        publishers: publishing connections, each of which waits for its answer before the next POST.
        seconds: how long to publish; opening and the last deliveries come on top.
        rate: events a second in all; 0 is as many as the hub answers.
        message_bytes: size of each message.
        out: gets the summary.
        progress: gets a line that is overwritten each second, if it is a terminal; None shows none.

    Raises:
        BenchError: the hub can't be reached, or refuses.
    """
    line = ProgressLine(progress)
    line.show(f"opening {clients:,} streams")
    topic = f"bench/{secrets.token_hex(4)}"
    target = hub_at(url)
    try:
        with Load(
            target,
            clients,
            publishers,
            message_bytes=message_bytes,
            topics=[topic],
            on_progress=lambda now: line.show(progress_text(now, seconds)),
        ) as load:
            if not rate:
                load.warm_up(WARM_UP_S)
            before = HubLatency.at(target)
            outcome = load.at_rate(rate, seconds) if rate else load.at_once(seconds)
            after = HubLatency.at(target)
    finally:
        line.clear()
    out.write(summary(outcome, clients, publishers, before, after))
    return outcome


class ProgressLine:
    """One line of a terminal, overwritten in place."""

    def __init__(self, out: TextIO | None) -> None:
        self._out = out if out and out.isatty() else None

    def show(self, text: str) -> None:
        """Put `text` in the line's place."""
        if self._out:
            self._out.write(f"\r\x1b[K{text}")
            self._out.flush()

    def clear(self) -> None:
        """Leave an empty line."""
        self.show("")


def progress_text(now: Progress, seconds: float) -> str:
    """Where the load is, on one line."""
    return (
        f"{now.elapsed_s:.0f} of {seconds:.0f} s: "
        f"{now.published:,} events published, {now.deliveries:,} deliveries"
    )


def summary(
    outcome: Outcome,
    clients: int,
    publishers: int,
    before: HubLatency | None = None,
    after: HubLatency | None = None,
) -> str:
    """What was measured, some lines for people; beside it what the hub says of the time from `before` to `after`."""
    lines = [
        f"{clients:,} streams, {publishers:,} publishers, {outcome.seconds:.1f} s",
        f"published    {outcome.published:,} events, {outcome.published_per_s:,.0f}/s",
        f"delivered    {outcome.deliveries:,} events, {outcome.deliveries_per_s:,.0f}/s",
        f"missing      {outcome.missing:,}",
        "latency, ms         p50       p90       p99       max",
        _row("to the last", outcome.fan_out),
        _row("to each", outcome.delivery),
        *_own_row(before, after),
        _row("of answers", outcome.answer),
    ]
    lines += [f"error        {count:,} x {what}" for what, count in outcome.errors.items()]
    if outcome.busy > BUSY:
        lines.append(
            f"note         the generator used {outcome.busy:.0%} of a core: it may be the limit"
        )
    return "\n".join(lines) + "\n"


def _own_row(before: HubLatency | None, after: HubLatency | None) -> list[str]:
    """What the hub says: from the receipt to the socket, so less than "to each" by the ways there and back."""
    if before is None or after is None:
        return []
    if after.why_not or before.why_not:
        return [f"the hub's     is not to be had: {after.why_not or before.why_not}"]
    return [_row("the hub's", after.since(before))]


def _row(name: str, latencies: Latencies) -> str:
    values = (latencies.p50, latencies.p90, latencies.p99, latencies.max)
    return f"{name:<13}" + "".join(f"{value:>10.2f}" for value in values)
