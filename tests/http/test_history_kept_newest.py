"""Pages of the history where some topics' newest events stay below the log, with each journal that can."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from tests.http.test_history_route import page, seqs
from tests.hub.test_keep_newest import Start, fill, some_alerts, start
from tests.hub.test_recent_events import publish
from tests.serving import eventually
from tocsin import Hub

__all__ = ["start"]


async def all_pages(hub: Hub, query: str, after: int) -> tuple[list[int], list[Any]]:
    """The seqs of all events after `after`, page by page, and the gaps that were told."""
    cursor, found, gaps = str(hub.ring.id_at(after)), list[int](), list[Any]()
    while True:
        some = await page(hub, f"{query}&after={cursor}")
        found += seqs(some)
        gaps.append(some["gap"])
        cursor = some["cursor"]
        if not some["more"]:
            return found, gaps


async def test_page_after_an_id_has_what_is_kept_first(start: Start) -> None:
    async with start() as hub:
        await some_alerts(hub)
        whole = await page(hub, f"after={hub.ring.id_at(1)}&topic=alerts/*")
        assert (seqs(whole), whole["gap"], whole["more"]) == ([2, 3, 6], None, False)
        assert whole["oldest"] == str(hub.ring.id_at(2))
        gone = await page(hub, f"after={hub.ring.id_at(0)}&topic=alerts/*")
        assert seqs(gone) == [2, 3, 6]
        assert gone["gap"]["reason"] == "evicted"


async def test_pages_behind_one_another_miss_and_repeat_nothing(start: Start) -> None:
    async with start() as hub:
        await some_alerts(hub)
        for limit in (1, 2, 3, 100):
            found, gaps = await all_pages(hub, f"limit={limit}&topic=alerts/*", 1)
            assert (found, [gap for gap in gaps if gap]) == ([2, 3, 6], [])
            found, gaps = await all_pages(hub, f"limit={limit}", 2)
            assert found == [3, 6, *range(hub.kept.floor + 1, hub.ring.head + 1)]
            assert gaps[0]["missed"] == hub.kept.floor - 2 - 2
            assert gaps[-1] is None or limit == 100  # what comes last is whole


async def test_newest_page_goes_on_below_the_floor(start: Start) -> None:
    async with start() as hub:
        await some_alerts(hub)
        above = [*range(hub.kept.floor + 1, hub.ring.head + 1)]
        for limit in (1, len(above), len(above) + 2, 1_000):
            assert seqs(await page(hub, f"limit={limit}")) == [2, 3, 6, *above][-limit:]
        assert seqs(await page(hub, "topic=alerts/*&limit=2")) == [3, 6]
        assert seqs(await page(hub, "topic=alerts/b")) == [3]
        assert seqs(await page(hub, "after=earliest&limit=3")) == [2, 3, 6]


async def test_pages_before_an_id_go_back_to_the_oldest_that_is_kept(start: Start) -> None:
    async with start() as hub:
        await some_alerts(hub)
        above = [*range(hub.kept.floor + 1, hub.ring.head + 1)]
        for query, limit in itertools.product(("", "topic=alerts/*&"), (1, 2, 3, len(above), 100)):
            before: str | None = str(hub.ring.id_at(hub.ring.head + 1))
            found: list[int] = []
            while before:
                some = await page(hub, f"{query}before={before}&limit={limit}")
                found = seqs(some) + found
                before = some["previous"]
                assert some["more"] == (before is not None)
            assert found == [2, 3, 6, *(() if query else above)]


async def test_page_of_each_topics_newest_has_what_is_kept(start: Start) -> None:
    async with start() as hub:
        await some_alerts(hub)
        await publish(hub, "alerts/b")
        assert seqs(await page(hub, "last_per_topic=1&topic=alerts/*")) == [6, hub.ring.head]
        found = seqs(await page(hub, "last_per_topic=2"))
        assert found == [2, 3, 6, hub.ring.head - 2, hub.ring.head - 1, hub.ring.head]


async def test_long_poll_is_answered_at_once_with_what_is_kept(start: Start) -> None:
    async with start() as hub:
        await some_alerts(hub)
        found = await page(hub, f"after={hub.ring.id_at(3)}&topic=alerts/*&wait=60")
        assert (seqs(found), found["gap"]) == ([6], None)
        waiting = asyncio.ensure_future(
            page(hub, f"after={found['cursor']}&topic=alerts/*&wait=60")
        )
        await eventually(lambda: len(hub.polls))
        await publish(hub, "alerts/new")
        assert seqs(await waiting) == [hub.ring.head]


async def test_long_poll_whose_event_left_the_history_and_is_kept_has_it(start: Start) -> None:
    async with start() as hub:
        await some_alerts(hub)
        after = hub.head
        await publish(hub, "alerts/new")
        await fill(hub)
        found = await page(hub, f"after={after}&topic=alerts/*&wait=60")
        assert (seqs(found), found["gap"]) == ([after.seq + 1], None)
