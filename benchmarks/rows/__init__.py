"""The table's rows, each in a module with its like."""

from __future__ import annotations

from plan import Row

from rows import (
    fan_out,
    generator,
    growth,
    memory,
    metrics,
    pace,
    publishing,
    reconnecting,
    stalled,
    topics,
)

ALL: tuple[Row, ...] = (
    fan_out.ONE_AFTER_THE_OTHER,
    fan_out.AT_ONCE,
    reconnecting.ROW,
    memory.ROW,
    pace.ROW,
    topics.ROW,
    publishing.SINGLE,
    publishing.BATCH,
    stalled.ROW,
    metrics.ROW,
    growth.STREAMS,
    growth.REPLAY,
    generator.ROW,
)
