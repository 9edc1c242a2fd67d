"""What a new stream gets first: the newest events it may have, wherever they are kept, and then what is live."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path
from typing import Any

import pytest

from tests.accounting import assert_conserved
from tests.eventlog.kept import KeptJournal, window_of
from tests.hub.hubs import Client, drafts, running, settled
from tests.serving import eventually
from tests.sse import ServerSentEvent
from tocsin import Draft, Filter, Hub, Settings
from tocsin.errors import Unavailable
from tocsin.eventlog.journal import open_journal
from tocsin.eventlog.recent import MAX_EVENTS, Recent
from tocsin.hub import recent_events

EPOCH = 1_000
EACH, TWO = Recent(per_topic=1), Recent(per_topic=2)


def seq_of(event: ServerSentEvent) -> int:
    return int(event.last_event_id.partition("-")[2])


async def opening(client: Client) -> tuple[ServerSentEvent, list[int]]:
    """The welcome, and the seqs of all events that it says are replayed."""
    events: list[ServerSentEvent] = []

    def is_whole() -> bool:
        events.extend(client.read())
        welcomes = [event for event in events if event.type == "connection"]
        got = [event for event in events if event.type not in ("connection", "gap")]
        return bool(welcomes) and len(got) >= welcomes[0].json["replayed"]

    await eventually(is_whole)
    got = [seq_of(event) for event in events if event.type not in ("connection", "gap")]
    return next(event for event in events if event.type == "connection"), got


async def publish(hub: Hub, *topics: str, type: str = "tick") -> None:
    """An event each, on the topics that are named in one word with commas between."""
    made = []
    for names in topics:
        topic, *more = names.split(",")
        made.append(Draft(type, b"{}", topic, more_topics=tuple(more)))
    await hub.publish(*made)


@pytest.mark.parametrize("window", [1_000, 3, 1])
async def test_new_stream_gets_the_newest_of_each_topic_then_what_is_live(window: int) -> None:
    async with running(KeptJournal(), **window_of(window)) as hub:
        await publish(hub, "u/1", "u/2", "v/1", "u/1", "u/3", "u/2,u/1", "v/2", "v/3")
        client = Client(hub, Filter(["u/*"]), recent=EACH)
        welcome, got = await opening(client)
        assert (seq_of(welcome), got) == (4, [5, 6])
        assert (welcome.json["replayed"], welcome.json["resumed"]) == (2, False)
        assert "truncated" not in welcome.json
        await publish(hub, "u/9", "v/9", "u/1")
        await settled(hub)
        assert [seq_of(event) for event in client.read()] == [9, 11]
        two = Client(hub, Filter(["u/*"]), recent=TWO)
        assert (await opening(two))[1] == [2, 5, 6, 9, 11]
        assert_conserved(hub)


@pytest.mark.parametrize("window", [1_000, 5, 1])
async def test_new_stream_gets_the_newest_of_all_then_what_is_live(window: int) -> None:
    async with running(KeptJournal(), **window_of(window)) as hub:
        await hub.publish(*drafts(20, "a"), *drafts(20, "b"))
        for filter, last, first, end in (
            (Filter(), 30, 11, 40),
            (Filter(), 99, 1, 40),
            (Filter(["a"]), 5, 16, 20),
            (Filter(["a"]), 99, 1, 20),
            (Filter(["none"]), 5, 41, 40),
        ):
            client = Client(hub, filter, recent=Recent(last=last))
            welcome, got = await opening(client)
            assert got == list(range(first, end + 1))
            assert seq_of(welcome) == (first - 1)
            assert welcome.json["replayed"] == len(got)
        await hub.publish(*drafts(1, "a"))
        await settled(hub)
        assert_conserved(hub)


@pytest.mark.parametrize("window", [1_000, 4])
async def test_types_filter_before_the_newest_are_counted(window: int) -> None:
    async with running(KeptJournal(), **window_of(window)) as hub:
        await publish(hub, "a", "b", "a", type="t")
        await publish(hub, "a", "b", "a", "a", "b", type="u")
        client = Client(hub, Filter(["a", "b"], ["t"]), recent=EACH)
        assert (await opening(client))[1] == [2, 3]
        client = Client(hub, Filter((), ["t"]), recent=Recent(last=2))
        assert (await opening(client))[1] == [2, 3]


@pytest.mark.parametrize("recent", [EACH, TWO, Recent(last=4)])
@pytest.mark.parametrize("window", [1_000, 3])
async def test_client_cut_off_anywhere_loses_nothing(window: int, recent: Recent) -> None:
    async with running(KeptJournal(), **window_of(window)) as hub:
        await publish(hub, *"abcabdaeb")
        welcome, got = await opening(Client(hub, recent=recent))
        for seq in (seq_of(welcome), *got):
            back = Client(hub, last_event_id=f"{EPOCH}-{seq}", recent=recent)
            resumed, rest = await opening(back)
            assert resumed.json["resumed"]
            assert rest == list(range(seq + 1, 10))


async def test_nothing_recent_begins_at_the_head() -> None:
    async with running() as hub:
        for recent in (EACH, Recent(last=3)):
            welcome, got = await opening(Client(hub, recent=recent))
            assert (seq_of(welcome), got, welcome.json["replayed"]) == (0, [], 0)
        await publish(hub, "a")
        welcome, got = await opening(Client(hub, Filter(["b"]), recent=EACH))
        assert (seq_of(welcome), got) == (1, [])


async def test_client_of_an_earlier_log_gets_what_a_new_one_gets_behind_its_gap() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(3)) as hub:
        journal.begin_epoch()
        await publish(hub, *"aabbcc")
        client = Client(hub, last_event_id=f"{EPOCH}-7", recent=EACH)
        events: list[ServerSentEvent] = []
        while len(events) < 5:
            await asyncio.sleep(0.005)
            events += client.read()
        assert [event.type for event in events[:2]] == ["connection", "gap"]
        assert (events[1].json["reason"], seq_of(events[0])) == ("restart", 1)
        assert [seq_of(event) for event in events[2:]] == [2, 4, 6]
        evicted = Client(hub, last_event_id=f"{EPOCH + 1}-0", recent=EACH)
        assert (await opening(evicted))[1] == [1, 2, 3, 4, 5, 6]


async def test_too_many_are_the_newest_of_them_and_told() -> None:
    async with running(history_events=30_000) as hub:
        topics = [f"t/{n}" for n in range(MAX_EVENTS + 5)]
        await hub.publish(*[Draft("tick", b"{}", topic) for topic in topics])
        for filter in (Filter(["t/*"]), Filter(), Filter((), ["tick"])):
            welcome, got = await opening(Client(hub, filter, recent=EACH))
            assert got == list(range(6, MAX_EVENTS + 6))
            assert welcome.json["truncated"] is True
            await settled(hub)


async def test_search_that_takes_too_long_gives_what_it_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recent_events, "SEARCH_S", 0.0)
    async with running(KeptJournal(), **window_of(2)) as hub:
        await publish(hub, *"abcd")
        for filter, recent in ((Filter(), EACH), (Filter(["a", "c", "d"]), Recent(last=3))):
            welcome, got = await opening(Client(hub, filter, recent=recent))
            assert (got, welcome.json["truncated"]) == ([3, 4], True)


@pytest.mark.parametrize("window", [5, 450])
async def test_search_goes_on_where_one_look_finds_nothing(window: int) -> None:
    journal = KeptJournal()
    journal.kept.looks = 100
    async with running(journal, **window_of(window)) as hub:
        await publish(hub, "u/1", "u/2", "u/1")
        await hub.publish(*drafts(500, "a"), *drafts(500, "b"))
        for filter, recent, expected in (
            (Filter(["u/*"]), EACH, [2, 3]),
            (Filter(["u/1", "u/2"]), EACH, [2, 3]),
            (Filter(["u/1"]), Recent(last=1), [3]),
            (Filter(["u/*"]), Recent(last=9), [1, 2, 3]),
            (Filter(["none"]), Recent(last=9), []),
            (Filter(["none"]), EACH, []),
        ):
            welcome, got = await opening(Client(hub, filter, recent=recent))
            assert (got, "truncated" in welcome.json) == (expected, False)


@pytest.mark.parametrize("topics", [["u/1"], ["u/1", "u/2", "u/1"]])
async def test_what_lies_between_few_events_that_were_found_is_not_read_again(
    topics: list[str],
) -> None:
    journal = KeptJournal()
    journal.kept.looks = 100
    async with running(journal, **window_of(5)) as hub:
        await publish(hub, *topics)
        await hub.publish(*drafts(500, "a"))
        await publish(hub, "u/3")
        await hub.publish(*drafts(500, "a"))
        client = Client(hub, Filter(["u/*"]), recent=Recent(last=9))
        welcome, got = await opening(client)
        assert (seq_of(welcome), got) == (0, [*range(1, len(topics) + 1), len(topics) + 501])
        looks = 1_000 // 100 + 1
        assert journal.kept.reads <= looks + 2
        await publish(hub, "u/9", "a")
        await settled(hub)
        assert [seq_of(event) for event in client.read()] == [hub.head.seq - 1]
        back = Client(hub, Filter(["u/*"]), last_event_id=f"{EPOCH}-1", recent=Recent(last=9))
        rest: list[ServerSentEvent] = []
        while len(rest) < 1 + len(got):  # `connection`, and what came later
            await asyncio.sleep(0.005)
            rest += back.read()
        assert [seq_of(event) for event in rest[1:]] == [*got[1:], hub.head.seq - 1]
        assert_conserved(hub)


async def test_search_that_is_given_up_with_nothing_found_says_that_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journal = KeptJournal()
    journal.kept.looks = 100
    async with running(journal, **window_of(5)) as hub:
        await publish(hub, "u/1")
        await hub.publish(*drafts(500, "a"))
        times = itertools.count(0.0, 1.0)  # five looks of a second each
        monkeypatch.setattr(recent_events, "monotonic", lambda: next(times))
        for recent in (EACH, Recent(last=1)):
            welcome, got = await opening(Client(hub, Filter(["u/1"]), recent=recent))
            assert (got, welcome.json["truncated"]) == ([], True)


async def test_long_window_that_is_not_searched_to_its_end_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody can say how many of a type are on a topic without looking at each, where there are many of both."""
    monkeypatch.setattr("tocsin.eventlog.ring.NEWEST_LIMIT", 100)
    monkeypatch.setattr("tocsin.eventlog.ring.COUNT_LIMIT", 20)
    async with running() as hub:
        await publish(hub, "a", type="rare")
        await hub.publish(*[*drafts(1, "a"), Draft("rare", b"{}", "b")] * 500)
        client = Client(hub, Filter(["a"], ["rare"]), recent=Recent(last=1))
        welcome, got = await opening(client)
        assert (got, welcome.json["truncated"]) == ([], True)


async def test_events_that_come_during_the_search_follow_once() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(2)) as hub:
        await publish(hub, *"abcd")
        journal.kept.gate = asyncio.Event()
        clients = [Client(hub, Filter(["*"]), recent=EACH) for _ in range(3)]
        await publish(hub, *"xa")
        assert hub.waiting == 3
        journal.kept.gate.set()
        for client in clients:
            welcome, got = await opening(client)
            assert got == [1, 2, 3, 4, 5, 6]
            assert seq_of(welcome) == 0
        await publish(hub, "y")
        await settled(hub)
        for client in clients:
            assert [seq_of(event) for event in client.read()] == [7]
        assert_conserved(hub)
        assert hub.waiting == 0


async def test_streams_that_ask_for_the_same_share_the_search() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(5)) as hub:
        await publish(hub, *[f"t/{n}" for n in range(300)])
        alone, reads = Client(hub, recent=EACH), journal.kept.reads
        assert len((await opening(alone))[1]) == 300
        reads = journal.kept.reads - reads
        clients = [Client(hub, recent=EACH) for _ in range(50)]
        before = journal.kept.reads
        for client in clients:
            assert len((await opening(client))[1]) == 300
        assert journal.kept.reads - before <= reads + 1


async def test_only_what_lies_near_is_read_for_what_was_selected() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await publish(hub, "rare")
        await hub.publish(*drafts(5_000, "a"))
        await publish(hub, "also")
        await hub.publish(*drafts(5_000, "b"))
        assert (await opening(Client(hub, recent=EACH)))[1] == [1, 5_001, 5_002, 10_002]


async def test_close_drain_and_new_log_find_streams_that_wait_for_the_search() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(2)) as hub:
        await publish(hub, *"abcd")
        journal.kept.gate = asyncio.Event()
        gone, waits = Client(hub, recent=EACH), Client(hub, recent=EACH)
        gone.end.close()
        await eventually(lambda: len(hub.streams) == 1)
        journal.begin_epoch()
        await eventually(lambda: not hub.streams)
        assert [event.type for event in waits.read()] == ["busy"]
        Client(hub, recent=EACH)
        await publish(hub, *"abcd")
        waits = Client(hub, recent=EACH)
        await eventually(lambda: hub.waiting == 1)
        await hub.drain()
        assert [event.type for event in waits.read()] == ["busy"]


async def test_failed_search_ends_its_streams_and_they_may_come_back() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(2)) as hub:
        await publish(hub, *"abcd")
        journal.kept.failure = Unavailable("down", code="journal_down")
        client = Client(hub, recent=EACH)
        events: list[ServerSentEvent] = []
        while not events:
            await asyncio.sleep(0.005)
            events += client.read()
        assert events[0].json["reason"] == "journal_down"
        journal.kept.failure = None
        assert (await opening(Client(hub, recent=EACH)))[1] == [1, 2, 3, 4]


async def test_stream_whose_selected_events_are_evicted_meanwhile_comes_back() -> None:
    async with running(history_events=128) as hub:
        data = b"x" * 60_000
        await hub.publish(*[Draft("tick", data, f"t/{n}") for n in range(100)])
        client = Client(hub, recent=EACH, tcp=True)
        await hub.publish(*drafts(300, "u"))
        assert await client.is_cut_off() == "reset"
        assert hub.counters.closed["slow"] == 1


async def test_slow_reader_of_what_was_selected_is_not_closed_for_what_it_did_not_ask() -> None:
    async with running(history_events=128) as hub:
        await hub.publish(*drafts(100, "a"), Draft("tick", b"x" * 60_000, "b"))
        await hub.publish(*[Draft("tick", b"x" * 60_000, f"t/{n}") for n in range(20)])
        client = Client(hub, recent=EACH, tcp=True)
        assert client.stream in hub.lagging
        await hub.publish(*drafts(10, "c"))
        await hub._subscriptions.tick()
        _, got = await opening(client)
        assert got[:22] == list(range(100, 122))
        assert hub.counters.closed["slow"] == 0


async def test_state_of_a_thousand_topics_costs_by_what_is_sent() -> None:
    """The issue asks for 5 ms; the bound is generous, as the machine is shared."""
    async with running() as hub:
        await hub.publish(*[Draft("tick", b"{}", f"u/{n % 1_000}") for n in range(10_000)])
        costs = []
        for n in range(5):
            began = time.process_time()
            client: Any = Client(hub, Filter(["u/*", f"v/{n}"]), recent=EACH)
            costs.append(time.process_time() - began)
            assert len((await opening(client))[1]) == 1_000
        assert min(costs) < 0.02


async def test_file_that_was_taken_up_again_has_the_newest_of_each_topic(tmp_path: Path) -> None:
    """The window knows nothing of what was evicted before the start."""
    settings = Settings(journal=f"sqlite:{tmp_path}/log", window_events=10)
    async with running(open_journal(settings), **window_of(10)) as hub:
        await publish(hub, "a/1", "a/2", "a/1", "b", type="t")
        await hub.publish(*drafts(500, "z"))
    async with running(open_journal(settings), **window_of(10)) as hub:
        await publish(hub, "a/3")
        for filter, recent, expected in (
            (Filter(["a/*"]), EACH, [2, 3, 505]),
            (Filter(["a/1", "a/2"]), EACH, [2, 3]),
            (Filter(["a/*"]), Recent(last=2), [3, 505]),
            (Filter(), EACH, [2, 3, 4, 504, 505]),
            (Filter((), ["t"]), TWO, [1, 2, 3, 4]),
        ):
            assert (await opening(Client(hub, filter, recent=recent)))[1] == expected


async def test_search_of_a_long_file_is_made_in_several_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.eventlog.journal.sqlite.history.NEWEST_ROWS", 100)
    monkeypatch.setattr("tocsin.eventlog.journal.sqlite.search.SCAN_EVENTS", 40)
    settings = Settings(journal=f"sqlite:{tmp_path}/log", window_events=10)
    async with running(open_journal(settings), **window_of(10)) as hub:
        await publish(hub, "a/1", "a/2")
        await hub.publish(*drafts(500, "z"))
        for filter, recent, expected in (
            (Filter(["a/*"]), EACH, [1, 2]),
            (Filter(["a/1"]), Recent(last=1), [1]),
            (Filter(["none"]), Recent(last=1), []),
        ):
            welcome, got = await opening(Client(hub, filter, recent=recent))
            assert (got, "truncated" in welcome.json) == (expected, False)
