"""What a filter asks of a row, as SQL."""

from __future__ import annotations

from tocsin.core.filters import Filter

_LAST = "\x7f"
"""Above all that a topic may hold."""


def condition_of(filter: Filter) -> tuple[str, list[str]]:
    """What `filter` asks of a row, as SQL that begins with AND, and its values.

    Rows of events on several topics may not match: only the first topic has a column.
    """
    sql, values = "", []
    if filter.types:
        sql += f" AND type IN ({', '.join('?' * len(filter.types))})"
        values += sorted(filter.types)
    if filter.asks_for_topics:
        parts = ["several"]
        if filter.exact:
            parts.append(f"topic IN ({', '.join('?' * len(filter.exact))})")
            values += sorted(filter.exact)
        for prefix in filter.prefixes:
            parts.append("(topic >= ? AND topic < ?)")
            values += [prefix, prefix + _LAST]
        sql += f" AND ({' OR '.join(parts)})"
    return sql, values
