"""Pages of what left the window: read from the journal, bounded, and all of one log."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
import pytest

from tests.eventlog.kept import KeptJournal, window_of
from tests.http.laters import Taken, as_it_comes
from tests.hub.hubs import drafts, running
from tests.serving import eventually
from tocsin import Draft, Hub
from tocsin.access.principal import EVERYBODY
from tocsin.errors import InvalidInput, Unavailable
from tocsin.http.answer import Answer
from tocsin.http.byte_budget import ByteBudget
from tocsin.http.later import Later
from tocsin.http.request import Request
from tocsin.http.routes.history import HistoryRoute
from tocsin.hub.history_reads import MAX_WAITING, PAGES_AT_ONCE

EPOCH = 1_000
LARGE = b'"' + b"x" * 100_000 + b'"'


async def page(hub: Hub, query: str = "") -> dict[str, Any]:
    """The answer, as JSON; raises what the route does."""
    request = Request("GET", "/api/history", query, principal=EVERYBODY)
    later = as_it_comes(HistoryRoute(hub, ByteBudget(2**30)).answer(request), request)
    answer: Any = await later.result()
    if isinstance(answer, Exception):
        raise answer
    assert answer.status == 200
    return cast(dict[str, Any], msgspec.json.decode(answer.body))


def seqs(page: dict[str, Any]) -> list[int]:
    found = []
    for event in page["events"]:
        epoch, seq = map(int, event["id"].split("-"))
        assert f"{epoch}-" == page["head"][: len(str(epoch)) + 1]
        found.append(seq)
    return found


async def test_page_after_an_id_behind_the_window_goes_through_the_journal_into_the_window() -> (
    None
):
    async with running(KeptJournal(), **window_of(10)) as hub:
        await hub.publish(*drafts(50))
        found = await page(hub, f"after={EPOCH}-20")
        assert seqs(found) == list(range(21, 51))
        assert (found["gap"], found["more"], found["oldest"]) == (None, False, f"{EPOCH}-1")
        found = await page(hub, f"after={EPOCH}-20&limit=25")
        assert seqs(found) == list(range(21, 46))
        assert (found["more"], found["next"]) == (True, f"{EPOCH}-45")


async def test_newest_page_takes_what_the_window_lacks_from_the_journal() -> None:
    async with running(KeptJournal(), **window_of(10)) as hub:
        await hub.publish(*drafts(30, "a"), *drafts(30, "b"))
        assert seqs(await page(hub, "limit=25")) == list(range(36, 61))
        assert seqs(await page(hub, "limit=25&topic=a")) == list(range(6, 31))
        assert hub.counters.history_reads == {"ok": 2, "failed": 0}
        assert seqs(await page(hub, "limit=5")) == list(range(56, 61))
        assert hub.counters.history_reads["ok"] == 2


@pytest.mark.parametrize("window", [1_000, 10, 1])
async def test_pages_before_an_id_go_back_to_the_oldest_kept_without_a_hole(window: int) -> None:
    async with running(KeptJournal(), **window_of(window)) as hub:
        await hub.publish(*drafts(30, "a"), *drafts(30, "b"))
        found = await page(hub, f"before={EPOCH}-51&limit=25")
        assert (seqs(found), found["previous"]) == (list(range(26, 51)), f"{EPOCH}-26")
        found = await page(hub, f"before={found['previous']}&limit=25")
        assert (seqs(found), found["previous"], found["more"]) == (
            list(range(1, 26)),
            None,
            False,
        )
        found = await page(hub, f"before={EPOCH}-51&limit=20&topic=a")
        assert (seqs(found), found["previous"]) == (list(range(11, 31)), f"{EPOCH}-11")
        found = await page(hub, f"before={EPOCH}-11&limit=20&topic=b")
        assert (seqs(found), found["previous"]) == ([], None)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (f"{EPOCH}-1", []),
        (f"{EPOCH}-3", [1, 2]),
        (f"{EPOCH}-999", [1, 2, 3]),  # nobody has that one yet
        (f"{EPOCH - 1}-7", []),  # of an earlier log
        (f"{EPOCH + 1}-1", [1, 2, 3]),
    ],
)
async def test_page_before_an_id_goes_by_the_order_of_ids(before: str, expected: list[int]) -> None:
    async with running(KeptJournal(), **window_of(10)) as hub:
        await hub.publish(*drafts(3))
        assert seqs(await page(hub, f"before={before}")) == expected


async def test_search_before_an_id_that_is_long_is_continued_where_it_ended() -> None:
    async with running(KeptJournal(), **window_of(40_000)) as hub:
        await hub.publish(*drafts(3, "rare"))
        for _ in range(25):
            await hub.publish(*drafts(1_000, "often"))
        found = await page(hub, f"before={EPOCH}-25004&topic=rare")
        assert (seqs(found), found["previous"]) == ([1, 2, 3], None)


@pytest.mark.parametrize("window", [10, 1_500])
async def test_page_is_searched_for_in_the_journal_by_as_many_looks_as_it_takes(
    window: int,
) -> None:
    journal = KeptJournal()
    journal.kept.looks = 100
    async with running(journal, **window_of(window)) as hub:
        await hub.publish(*drafts(3, "rare"), *drafts(1_000, "often"))
        await hub.publish(*drafts(1, "rare"), *drafts(1_000, "often"))
        found = await page(hub, "topic=rare")
        assert (seqs(found), found["more"], "previous" in found) == ([1, 2, 3, 1_004], False, False)
        found = await page(hub, "topic=rare&limit=3")
        assert (seqs(found), found["more"], "previous" in found) == ([2, 3, 1_004], False, False)
        found = await page(hub, f"before={EPOCH}-1004&topic=rare&limit=2")
        assert (seqs(found), found["previous"]) == ([2, 3], f"{EPOCH}-2")
        found = await page(hub, "topic=none")
        assert (seqs(found), found["more"]) == ([], False)


async def test_search_that_takes_too_long_says_so_and_is_continued_where_it_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tocsin.hub.history_pages.PAGE_S", 0.0)
    journal = KeptJournal()
    journal.kept.looks = 100
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(3, "rare"), *drafts(1_000, "often"), *drafts(1, "rare"))
        found, asked = await page(hub, "topic=rare"), 1
        assert (seqs(found), found["previous"]) == ([1_004], f"{EPOCH}-895")
        while found["previous"]:
            assert found["more"]
            found, asked = await page(hub, f"before={found['previous']}&topic=rare"), asked + 1
        assert (seqs(found), found["more"], asked) == ([1, 2, 3], False, 10)


async def test_search_of_a_long_window_without_a_journal_is_continued_where_it_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tocsin.eventlog.ring.NEWEST_LIMIT", 100)
    async with running() as hub:
        await hub.publish(*[Draft("rare", b"{}", "a")] * 3)
        await hub.publish(*[*drafts(1, "a"), Draft("rare", b"{}", "b")] * 450)
        found, asked = await page(hub, "topic=a&type=rare"), 1
        assert (seqs(found), found["more"]) == ([], True)
        while not found["events"]:
            found = await page(hub, f"before={found['previous']}&topic=a&type=rare")
            asked += 1
        assert (seqs(found), found["previous"], asked) == ([1, 2, 3], None, 5)


@pytest.mark.parametrize(
    "query", ["before=", "before=7", "before=1-1&after=1-1", "before=1-1&last_per_topic=1"]
)
async def test_before_that_is_no_id_or_is_one_of_two_beginnings_is_refused(query: str) -> None:
    async with running(KeptJournal(), **window_of(10)) as hub:
        with pytest.raises(InvalidInput) as refused:
            await page(hub, query)
        assert (refused.value.status, refused.value.field) == (400, "before")


async def test_parameter_of_streams_is_not_taken_for_nothing() -> None:
    async with running(KeptJournal(), **window_of(10)) as hub:
        with pytest.raises(InvalidInput, match="limit") as refused:
            await page(hub, "last=500")
        assert (refused.value.status, refused.value.field) == (400, "last")


@pytest.mark.parametrize("query", ["topic=none", "topic=n*", "after=earliest&topic=n*"])
async def test_page_of_nothing_in_window_and_journal_is_empty(query: str) -> None:
    async with running(KeptJournal(), **window_of(10)) as hub:
        await hub.publish(*drafts(30, "a"))
        found = await page(hub, query)
        assert (found["events"], found["gap"], found["more"]) == ([], None, False)


@pytest.mark.parametrize("query", ["limit=1000", f"limit=1000&after={EPOCH}-1"])
async def test_page_of_large_events_is_bounded_wherever_they_come_from(query: str) -> None:
    async with running(KeptJournal(), **window_of(5)) as hub:
        await hub.publish(*drafts(40, data=LARGE))
        found = await page(hub, query)
        assert len(found["events"]) == 11
        assert found["more"]


@pytest.mark.parametrize("window", [1_000, 4, 1])
async def test_page_of_the_newest_of_each_topic_comes_from_wherever_they_are_kept(
    window: int,
) -> None:
    async with running(KeptJournal(), **window_of(window)) as hub:
        for topic in ("a", "b", "a", "c", "b", "b"):
            await hub.publish(*drafts(1, topic))
        await hub.publish(*drafts(200, "z"), *drafts(1, "c"))
        found = await page(hub, "last_per_topic=1")
        assert (seqs(found), found["more"], found["gap"]) == ([3, 6, 206, 207], False, None)
        assert seqs(await page(hub, "last_per_topic=2&topic=a&topic=c")) == [1, 3, 4, 207]
        found = await page(hub, "last_per_topic=1&limit=2")
        assert (seqs(found), found["more"]) == ([206, 207], True)


async def test_page_of_the_newest_of_each_topic_is_bounded_by_their_bytes() -> None:
    async with running(KeptJournal(), **window_of(5)) as hub:
        await hub.publish(*[Draft("tick", LARGE, f"t/{n}") for n in range(40)])
        found = await page(hub, "last_per_topic=1&limit=1000")
        assert (seqs(found), found["more"]) == (list(range(31, 41)), True)


@pytest.mark.parametrize(
    "query", ["last_per_topic=0", "last_per_topic=x", f"last_per_topic=1&after={EPOCH}-1"]
)
async def test_newest_of_each_topic_that_can_not_be_are_refused(query: str) -> None:
    async with running(KeptJournal()) as hub:
        with pytest.raises(InvalidInput) as refused:
            await page(hub, query)
        assert (refused.value.status, refused.value.field) == (400, "last_per_topic")


async def test_pages_from_next_to_next_are_the_whole_log() -> None:
    async with running(KeptJournal(), **window_of(10)) as hub:
        await hub.publish(*drafts(500, "a"), *drafts(500, "b"))
        found, after = list[int](), "earliest"
        for _ in range(200):
            got = await page(hub, f"after={after}&limit=70&topic=b")
            found += seqs(got)
            after = got["next"]
            if not got["more"]:
                break
        assert found == list(range(501, 1_001))


async def test_page_that_takes_too_long_ends_and_says_where_to_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tocsin.hub.history_pages.PAGE_S", 0.0)
    async with running(KeptJournal(), **window_of(10)) as hub:
        await hub.publish(*drafts(50))
        found = await page(hub, "after=earliest")
        assert (found["events"], found["more"], found["next"]) == ([], True, f"{EPOCH}-0")


async def test_id_that_left_the_journal_is_a_gap() -> None:
    async with running(KeptJournal(max_events=30), **window_of(10)) as hub:
        await hub.publish(*drafts(50))
        found = await page(hub, f"after={EPOCH}-5")
        assert seqs(found) == list(range(21, 51))
        assert found["gap"]["missed"] == 15
        assert found["oldest"] == found["gap"]["oldest"] == f"{EPOCH}-21"


@pytest.mark.parametrize("query", [f"after={EPOCH}-5", "limit=40"])
@pytest.mark.parametrize("is_told", [True, False])
async def test_page_that_waits_while_a_new_log_begins_is_of_the_old_one_alone(
    query: str, is_told: bool
) -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(50))
        gate = journal.kept.gate = asyncio.Event()
        asked = asyncio.ensure_future(page(hub, query))
        await eventually(lambda: journal.kept.under_way)
        journal.begin_epoch(is_told=is_told)
        if is_told:
            await hub.publish(*drafts(20))
        else:
            journal.commit(drafts(60))
        gate.set()
        if query.startswith("after") and not is_told:
            with pytest.raises(Unavailable):  # nobody can say what there was
                await asked
            return
        found = await asked
        assert found["head"] == f"{EPOCH}-50"
        assert seqs(found) == ([] if query.startswith("after") else list(range(41, 51)))


async def test_page_of_the_ring_alone_is_of_one_log_when_a_new_one_begins_between_two_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journal = KeptJournal()
    journal.history = None
    async with running(journal, **window_of(10_000)) as hub:
        common = [Draft("b" if n % 2 else "a", b"{}", f"t/{n % 2}") for n in range(2_000)]
        for _ in range(4):  # each look finds something, and the looks are many
            await hub.publish(*common, Draft("a", b"{}", "t/1"))
        looks = []
        read = hub.ring.read

        def look(*args: Any, **limits: Any) -> Any:
            looks.append(args)
            return read(*args, **limits)

        monkeypatch.setattr(hub.ring, "read", look)
        asked = asyncio.ensure_future(page(hub, "after=earliest&topic=t/1&type=a"))
        while not looks:
            await asyncio.sleep(0)
        assert not asked.done()
        journal.begin_epoch()
        await hub.publish(*drafts(3))
        found = await asked
        assert found["head"] == f"{EPOCH}-8004"
        assert seqs(found) == [2_001, 4_002, 6_003, 8_004]


async def test_journal_that_can_not_be_read_is_said() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(50))
        journal.kept.failure = Unavailable("the disk is gone", code="journal_down")
        for query in ("after=earliest", "limit=50"):
            with pytest.raises(Unavailable, match="the disk is gone"):
                await page(hub, query)
        assert hub.counters.history_reads == {"ok": 0, "failed": 2}


async def test_reads_for_pages_are_bounded_and_too_many_are_refused() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(50))
        gate = journal.kept.gate = asyncio.Event()
        asked = [
            asyncio.ensure_future(page(hub, "after=earliest"))
            for _ in range(PAGES_AT_ONCE + MAX_WAITING + 3)
        ]
        await eventually(lambda: sum(each.done() for each in asked) == 3)
        assert journal.kept.under_way == PAGES_AT_ONCE
        assert all(isinstance(each.exception(), Unavailable) for each in asked if each.done())
        gate.set()
        answered = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(each, dict) for each in answered) == PAGES_AT_ONCE + MAX_WAITING


async def test_pages_asked_for_at_once_have_a_turn_of_the_loop_each() -> None:
    async with running(KeptJournal(), **window_of(10)) as hub:
        await hub.publish(*drafts(10))
        route = HistoryRoute(hub, ByteBudget(2**30))
        turns, made = 0, []

        request = Request("GET", "/api/history", principal=EVERYBODY)
        for _ in range(20):
            later = as_it_comes(route.answer(request), request)
            later.taker = Taken(lambda _: made.append(turns))
        while len(made) < 20:
            await asyncio.sleep(0)
            turns += 1
        assert len(set(made)) == 20


async def test_pages_asked_for_at_once_are_made_only_as_long_as_there_is_room_for_them() -> None:
    async with running(KeptJournal(), **window_of(10)) as hub:
        await hub.publish(*drafts(10))
        budget, given = ByteBudget(1_000), list[Any]()
        route = HistoryRoute(hub, budget)

        def unread(value: Any) -> None:
            given.append(value)
            if not isinstance(value, Exception):
                budget.add(len(value.body))

        request = Request("GET", "/api/history", principal=EVERYBODY)
        for _ in range(20):
            later = as_it_comes(route.answer(request), request)
            later.taker = Taken(unread)
        await eventually(lambda: len(given) == 20)
        assert sum(isinstance(each, Unavailable) for each in given) >= 18


async def waiting_polls(hub: Hub, count: int) -> tuple[list[Later], list[Any]]:
    """So many polls that wait at the hub's head, and the list that takes what they are given."""
    route, given = HistoryRoute(hub, ByteBudget(2**30)), list[Any]()
    request = Request("GET", "/api/history", f"after={hub.head}&wait=60", principal=EVERYBODY)
    laters = [as_it_comes(route.answer(request), request) for _ in range(count)]
    for later in laters:
        later.taker = Taken(given.append)
    await eventually(lambda: len(hub.polls) == count)
    return laters, given


@pytest.mark.parametrize("leaves", [False, True])
async def test_polls_whose_page_is_read_from_the_journal_are_answered_or_left(leaves: bool) -> None:
    """What came for them has left the window by the time they are woken."""
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        laters, given = await waiting_polls(hub, 3)
        gate = journal.kept.gate = asyncio.Event()
        await hub.publish(*drafts(50))
        await eventually(lambda: journal.kept.under_way)
        if leaves:
            laters[0].leave()
            await eventually(lambda: len(given) == 1)
        gate.set()
        await eventually(lambda: len(given) == 3)
        pages = [msgspec.json.decode(each.body) for each in given if isinstance(each, Answer)]
        assert [seqs(each) for each in pages] == [list(range(1, 51))] * (3 - leaves)


async def test_poll_that_left_between_its_event_and_its_answer_is_given_one_answer() -> None:
    async with running(KeptJournal(), **window_of(10)) as hub:
        laters, given = await waiting_polls(hub, 2)
        hub.polls.wake_all()
        laters[0].leave()
        laters[0].leave()
        assert [type(each) for each in given] == [Unavailable]
        await eventually(lambda: len(given) == 2)
        await asyncio.sleep(0)
        assert [type(each) for each in given] == [Unavailable, Answer]
