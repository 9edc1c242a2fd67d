"""Clients that never read, among those that do."""

from __future__ import annotations

from plan import Case, Goal, Row, Term

from rows.fan_out import at_once

WITH, WITHOUT = "with 100 that never read", "without"

ROW = Row(
    name="stalled",
    title="1,000 clients that read, 32 publishers, 60-byte message",
    cases=(
        Case(WITHOUT, ("tocsin",), at_once(1_000, 32)),
        Case(WITH, ("tocsin",), at_once(1_000, 32, silent=100)),
    ),
    figures=("deliveries_per_s", "fan_out_p99", "server_busy", "load_busy"),
    compared=("us_per_delivery", "deliveries_per_s"),
    goals=(
        Goal(
            Term(WITH, "tocsin", "deliveries_per_s"),
            Term(WITHOUT, "tocsin", "deliveries_per_s"),
            0.9,
        ),
        Goal(
            Term(WITH, "tocsin", "fan_out_p99"),
            Term(WITHOUT, "tocsin", "fan_out_p99"),
            1 / 0.9,
            at_most=True,
        ),
    ),
)
