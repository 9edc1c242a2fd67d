"""The table's rows, each in a module with its like."""

from __future__ import annotations

from plan import Row

from rows import (
    clients_post,
    fan_out,
    generator,
    growth,
    journal,
    many_filters,
    memory,
    metrics,
    opening,
    pace,
    prefixes,
    publishing,
    reconnecting,
    stalled,
    topics,
    uploads,
)

ALL: tuple[Row, ...] = (
    fan_out.ONE_AFTER_THE_OTHER,
    fan_out.AT_ONCE,
    reconnecting.ROW,
    reconnecting.RETURNS,
    prefixes.ROW,
    opening.ROW,
    memory.ROW,
    memory.TOPICS,
    pace.ROW,
    topics.ROW,
    many_filters.ROW,
    publishing.SINGLE,
    clients_post.ROW,
    publishing.BATCH,
    uploads.ROW,
    journal.ROW,
    stalled.ROW,
    metrics.ROW,
    growth.STREAMS,
    growth.REPLAY,
    generator.ROW,
)
