"""``GET /api/history``: what the ring holds, as JSON, for pages and scripts that don't stream."""

from __future__ import annotations

import msgspec

from tocsin.core.filters import Filter
from tocsin.errors import InvalidInput
from tocsin.eventlog.resume import resolve
from tocsin.eventlog.ring import Entry
from tocsin.http.base import Handler, query_value, query_values

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000
PAGE_BYTES = 4 * 1024 * 1024


class HistoryHandler(Handler):
    """Pages of the history, oldest event first in each; the newest page if no id is given."""

    def get(self) -> None:
        """Answer one page: `events`, `gap`, `oldest`, `head`, and `more` if others follow."""
        filter = Filter.parse(
            query_values(self.request, "topic"), query_values(self.request, "type")
        )
        limit = self._limit()
        after = query_value(self.request, "after")
        ring = self.hub.ring
        if after:
            resume = resolve(after, ring, filter)
            entries, more = self._page(resume.cursor, filter, limit)
            gap = resume.gap
        else:
            entries, more, gap = ring.newest(filter, limit, max_bytes=PAGE_BYTES), False, None
        self.answer(
            {
                "events": [self._event(entry) for entry in entries],
                "gap": gap,
                "oldest": str(self.hub.oldest) if self.hub.oldest else None,
                "head": str(self.hub.head),
                "more": more,
            }
        )

    head = get

    def _page(self, cursor: int, filter: Filter, limit: int) -> tuple[list[Entry], bool]:
        """At most `limit` entries after `cursor`, and whether there may be more."""
        ring = self.hub.ring
        entries: list[Entry] = []
        while cursor < ring.head and len(entries) < limit:
            room = limit - len(entries)
            reading = ring.read(cursor, filter, max_bytes=PAGE_BYTES, max_events=room)
            entries += reading.entries
            cursor = reading.cursor
            if sum(len(entry.block) for entry in entries) >= PAGE_BYTES:
                break
        return entries, ring.count(cursor, filter) != 0

    def _event(self, entry: Entry) -> dict[str, object]:
        return {
            "id": str(self.hub.ring.id_at(entry.seq)),
            "topic": entry.topic,
            "type": entry.type,
            "time": entry.time,
            "data": msgspec.Raw(entry.data),
        }

    def _limit(self) -> int:
        text = query_value(self.request, "limit", str(DEFAULT_LIMIT))
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT):
            raise InvalidInput(
                f"limit must be a whole number from 1 to {MAX_LIMIT}",
                code="invalid_limit",
                field="limit",
                status=400,
            )
        return int(text)
