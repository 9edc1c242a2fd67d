"""``GET /api/history``: what the ring holds, as JSON, for pages and scripts that don't stream."""

from __future__ import annotations

import asyncio

import msgspec

from tocsin.core.filters import Filter
from tocsin.core.numbers import whole_number
from tocsin.core.strict_json import DECODE_ERRORS
from tocsin.errors import Unavailable
from tocsin.eventlog.resume import Gap, resolve
from tocsin.eventlog.ring import Entry
from tocsin.http.answer import Answer, of_json
from tocsin.http.byte_budget import ByteBudget
from tocsin.http.later import Later
from tocsin.http.parameters import Parameters
from tocsin.http.request import Request
from tocsin.http.routes.base import Route
from tocsin.hub.hub import Hub

KNOWN = frozenset({"topic", "type", "after", "limit"})

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000
PAGE_BYTES = 1024 * 1024
"""Encoded bytes after which a page ends, whatever its `limit`: one event more at most."""


_check = msgspec.json.Decoder(msgspec.Raw).decode


class Page(msgspec.Struct, frozen=True):
    """Entries in the log's order; `more`: others that match are kept, behind these or left out of them."""

    entries: list[Entry]
    more: bool
    gap: Gap | None = None


class HistoryRoute(Route):
    """Pages of the history, oldest event first in each; the newest page if no id is given.

    Args:
        hub: whose history it is.
        answers: bytes of answers under way; no page is made while they are spent.
    """

    name = "history"

    def __init__(self, hub: Hub, answers: ByteBudget) -> None:
        self._hub = hub
        self._answers = answers

    def answer(self, request: Request) -> Later:
        """One page: `events`, `gap`, `oldest`, `head`, and `more` if the page doesn't hold all that it could.

        Raises:
            InvalidInput: a parameter can't be taken.
            Unavailable: too many bytes of other answers are still unread.
        """
        parameters = Parameters.read(request, KNOWN)
        limit = whole_number(
            parameters.last("limit", str(DEFAULT_LIMIT)), "limit", least=1, most=MAX_LIMIT
        )
        filter = parameters.filter
        if self._answers.is_spent:
            message = f"answers of {self._answers.limit} bytes are unread; try again"
            raise Unavailable(message, code="busy", retry_after_s=2)
        return Later.of(self._read(parameters, filter, limit))

    async def _read(self, parameters: Parameters, filter: Filter, limit: int) -> Answer:
        after = parameters.last("after")
        if after:
            page = await self._page_after(after, filter, limit)
        else:
            page = self._newest_page(filter, limit)
        hub = self._hub
        answer: dict[str, object] = {
            "events": [self._event(entry) for entry in page.entries],
            "gap": page.gap,
            "oldest": str(hub.oldest) if hub.oldest else None,
            "head": str(hub.head),
            "more": page.more,
        }
        if parameters.ignored:
            answer["ignored"] = parameters.ignored
        return of_json(answer)

    def _newest_page(self, filter: Filter, limit: int) -> Page:
        entries = self._hub.ring.newest(filter, limit, max_bytes=PAGE_BYTES)
        is_cut = len(entries) < limit and _size(entries) >= PAGE_BYTES
        return Page(entries, is_cut)

    async def _page_after(self, after: str, filter: Filter, limit: int) -> Page:
        """At most `limit` entries after the id `after`; the loop has its turn between two looks at the ring."""
        ring = self._hub.ring
        resume = resolve(after, ring, filter)
        cursor = resume.cursor
        entries: list[Entry] = []
        room = PAGE_BYTES
        while cursor < ring.head and len(entries) < limit and room > 0:
            if cursor > resume.cursor:
                await asyncio.sleep(0)
                if ring.has_lost(cursor, filter):  # meanwhile: who asks for what is behind is told
                    break
            reading = ring.read(cursor, filter, max_bytes=room, max_events=limit - len(entries))
            entries += reading.entries
            room -= _size(reading.entries)
            cursor = reading.cursor
        return Page(entries, ring.count(cursor, filter) != 0, resume.gap)

    def _event(self, entry: Entry) -> dict[str, object]:
        return {
            "id": str(self._hub.ring.id_at(entry.seq)),
            "topic": entry.topic,
            "type": entry.type,
            "time": entry.time,
            "data": _as_json(entry.data),
        }


def _as_json(data: bytes) -> msgspec.Raw | str:
    """`data` as it is where it is JSON, as all is that was posted; else as a text: who embeds the hub may publish any."""
    try:
        data.decode()
        _check(data)
    except DECODE_ERRORS:
        return data.decode(errors="replace")
    return msgspec.Raw(data)


def _size(entries: list[Entry]) -> int:
    return sum([len(entry.block) for entry in entries])
