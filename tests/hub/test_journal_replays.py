"""Streams whose next events left the window get them from the journal: all, once, in order, and bounded."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any
from unittest import mock

import pytest
from tornado.iostream import IOStream

from tests.accounting import assert_conserved
from tests.eventlog.kept import KeptJournal, window_of
from tests.hub.hubs import Client, drafts, pair, running, settled, tcp_pair
from tests.serving import eventually
from tocsin import Filter
from tocsin.errors import Unavailable
from tocsin.hub import journal_replays
from tocsin.hub.connection import SocketConnection
from tocsin.hub.journal_replays import MAX_READS
from tocsin.hub.states import State

EPOCH = 1_000
A, B = Filter(["a"]), Filter(["b"])


def id_at(seq: int) -> str:
    return f"{EPOCH}-{seq}"


def ids_of(first: int, last: int) -> list[str]:
    return [id_at(seq) for seq in range(first, last + 1)]


async def all_of(client: Client, count: int) -> list[str]:
    """The ids of the next `count` events."""
    ids: list[str] = []

    def has_all() -> bool:
        ids.extend(client.ids())
        return len(ids) >= count

    await eventually(has_all)
    return ids


async def test_replay_of_what_left_the_window_comes_from_the_journal_and_goes_on_live() -> None:
    async with running(KeptJournal(), **window_of(100)) as hub:
        await hub.publish(*drafts(1_000))
        client = Client(hub, last_event_id=id_at(7))
        welcome, *events = client.read()
        assert events == []
        assert (welcome.json["replayed"], welcome.json["missed"]) == (993, 0)
        assert welcome.last_event_id == id_at(7)
        assert await all_of(client, 993) == ids_of(8, 1_000)
        await settled(hub)
        await hub.publish(*drafts(2))
        assert await all_of(client, 2) == ids_of(1_001, 1_002)
        counters = hub.counters
        assert (counters.delivered_replay, counters.delivered_live) == (993, 2)
        assert counters.resumes == {"complete": 1, "gap": 0}
        assert counters.history_reads["failed"] == 0 < counters.history_reads["ok"]
        assert_conserved(hub)


async def test_filtered_replay_is_counted_when_it_is_over() -> None:
    async with running(KeptJournal(), **window_of(100)) as hub:
        for _ in range(300):
            await hub.publish(*drafts(1, "a"), *drafts(2, "b"))
        client = Client(hub, A, last_event_id="earliest")
        (welcome,) = client.read()
        assert welcome.json["replayed"] is None
        assert await all_of(client, 300) == [id_at(seq) for seq in range(1, 901, 3)]
        await settled(hub)
        await hub.publish(*drafts(5, "a"))
        await settled(hub)
        counters = hub.counters
        assert (counters.delivered_replay, counters.delivered_live) == (300, 5)
        assert (counters.replayed.sum, sum(counters.replayed.counts)) == (300, 1)
        assert_conserved(hub)


async def test_piece_that_another_stream_has_read_is_counted_for_each_as_it_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal_replays, "READ_BYTES", 2**20)  # so that a piece has 1,000 events
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(3_000, "a"))
        gate = journal.kept.gate = asyncio.Event()
        first = Client(hub, A, last_event_id=id_at(500))
        await hub.publish(*drafts(100, "a"))
        second = Client(hub, A, last_event_id=id_at(2_500))  # where the other one comes by
        gate.set()
        assert await all_of(second, 600) == ids_of(2_501, 3_100)
        assert await all_of(first, 2_600) == ids_of(501, 3_100)
        await settled(hub)
        assert journal.kept.reads == 4
        assert hub.counters.delivered_replay == 2_500 + 600
        assert hub.counters.delivered_catchup == 100
        assert_conserved(hub)


async def test_stream_whose_state_is_asked_for_says_that_it_waits() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(100))
        journal.kept.gate = asyncio.Event()
        client = Client(hub, last_event_id=id_at(1))
        assert client.stream.state == State.WAITING
        assert hub.waiting == 1
        assert client.stream in hub.lagging
        journal.kept.gate.set()
        assert await all_of(client, 99) == ids_of(2, 100)
        await settled(hub)
        assert (client.stream.state, hub.waiting) == (State.LIVE, 0)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("is_plain", [False, True])
async def test_stream_that_waits_gets_heartbeats(chunked: bool, is_plain: bool) -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(100))
        gate = journal.kept.gate = asyncio.Event()
        ours, theirs = pair()
        Client.ends += [ours, theirs]
        # An IOStream that is given stays one only while it writes, or for TLS; so it is kept from being taken.
        with mock.patch("tocsin.hub.connection.take_socket", return_value=None):
            connection = ours if is_plain else IOStream(ours)
            stream = hub.subscribe(connection, Filter(), last_event_id=id_at(1), chunked=chunked)
        await eventually(lambda: stream.state == State.WAITING)
        opening = await received(theirs, b"id: " + id_at(1).encode())
        assert b"event: tick" not in opening
        for count in (1, 2):
            await hub._subscriptions.send_heartbeats()
            assert hub.counters.heartbeats == count
            beat = b"2\r\n:\n\r\n" if chunked else b":\n"
            assert await received(theirs, beat) == beat
        assert stream.state == State.WAITING
        gate.set()
        replayed = await received(theirs, b"id: " + id_at(100).encode())
        assert replayed.count(b"event: tick") == 99
        await settled(hub)
        assert stream.sent_events == 99
        assert_conserved(hub)


async def test_heartbeat_that_the_socket_does_not_take_is_left_out() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(100))
        journal.kept.gate = asyncio.Event()
        client = Client(hub, last_event_id=id_at(1))
        with mock.patch.object(SocketConnection, "offer", return_value=0):
            await hub._subscriptions.send_heartbeats()
        assert hub.counters.heartbeats == 0
        with mock.patch.object(SocketConnection, "offer", return_value=1):
            await hub._subscriptions.send_heartbeats()
        assert (
            client.stream.state == State.CLOSED
        )  # it comes back, and nothing stands amid a heartbeat


async def received(end: socket.socket, last: bytes) -> bytes:
    """What comes until `last` is among it, with the rest of its block."""
    data = b""

    def has_come() -> bool:
        nonlocal data
        with suppress(BlockingIOError):
            data += end.recv(65_536)
        return last in data

    await eventually(has_come)
    return data


@pytest.mark.parametrize("filter", [Filter(), A])
async def test_events_published_during_a_read_come_after_it_once(filter: Filter) -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(50, "a"))
        journal.kept.gate = asyncio.Event()
        client = Client(hub, filter, last_event_id=id_at(1))
        await eventually(lambda: journal.kept.under_way)
        await hub.publish(*drafts(50, "a"))
        journal.kept.gate.set()
        assert await all_of(client, 99) == ids_of(2, 100)
        await settled(hub)
        assert (hub.counters.delivered_replay, hub.counters.delivered_catchup) == (49, 50)
        assert_conserved(hub)


async def test_what_the_journal_has_and_the_hub_has_not_been_given_yet_comes_once() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(50))
        committed = journal.commit(drafts(5))
        client = Client(hub, last_event_id=id_at(1))
        assert await all_of(client, 49) == ids_of(2, 50)
        await settled(hub)
        journal.deliver(committed)
        assert await all_of(client, 5) == ids_of(51, 55)


async def test_lagging_stream_that_fell_out_of_the_window_is_not_closed_and_reads_on() -> None:
    async with running(KeptJournal(), **window_of(5)) as hub:
        client = Client(hub, tcp=True)
        for _ in range(60):
            await hub.publish(*drafts(1, data=b"1" * 60_000))
            await asyncio.sleep(0)
        assert hub.lagging
        for _ in range(3):
            await hub._subscriptions.tick()
        assert await all_of(client, 60) == ids_of(1, 60)
        await settled(hub)
        assert sum(hub.counters.closed.values()) == 0
        assert hub.counters.history_reads["ok"] > 0
        assert_conserved(hub)


async def test_streams_at_one_place_share_a_read() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(200))
        clients = [Client(hub, last_event_id=id_at(3)) for _ in range(20)]
        for client in clients:
            assert await all_of(client, 197) == ids_of(4, 200)
        assert journal.kept.reads == 1
        late = Client(hub, last_event_id=id_at(3))
        assert await all_of(late, 197) == ids_of(4, 200)
        assert journal.kept.reads == 1  # the piece is known until the next tick


async def test_reads_under_way_are_bounded_and_come_in_the_order_of_asking() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(200))
        journal.kept.gate = asyncio.Event()
        clients = [Client(hub, last_event_id=id_at(seq)) for seq in range(1, 21)]
        await eventually(lambda: journal.kept.under_way == MAX_READS)
        assert hub.waiting == 20
        journal.kept.gate.set()
        served: list[int] = []

        def has_served_all() -> bool:
            for number, client in enumerate(clients):
                if client.ids():
                    served.append(number)
            return len(served) == 20

        await eventually(has_served_all)
        assert journal.kept.under_way_max == MAX_READS
        assert served == sorted(served)


async def test_long_replay_leaves_the_others_their_turn() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(20_000))
        long = [
            Client(hub, Filter(["default", f"t{n}"]), last_event_id="earliest") for n in range(8)
        ]
        short = Client(hub, last_event_id=id_at(19_900))
        assert await all_of(short, 100) == ids_of(19_901, 20_000)
        assert all(client.stream.sent_events <= 2_000 for client in long)


async def test_read_that_fails_ends_the_stream_which_comes_back_and_loses_nothing() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(100))
        journal.kept.failure = Unavailable("the disk is gone", code="journal_down")
        client = Client(hub, last_event_id=id_at(1))
        await eventually(lambda: not hub.streams)
        welcome, busy = client.read()
        assert (busy.type, busy.json["reason"]) == ("busy", "journal_down")
        assert busy.last_event_id == welcome.last_event_id == id_at(1)
        assert hub.counters.history_reads == {"ok": 0, "failed": 1}
        assert hub.counters.closed["journal"] == 1
        journal.kept.failure = None
        again = Client(hub, last_event_id=busy.last_event_id)
        assert await all_of(again, 99) == ids_of(2, 100)
        assert_conserved(hub)


async def test_read_that_takes_too_long_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.hub.history_reads.READ_S", 0.05)
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(100))
        journal.kept.gate = asyncio.Event()
        Client(hub, last_event_id=id_at(1))
        await eventually(lambda: not hub.streams)
        assert hub.counters.history_reads == {"ok": 0, "failed": 1}
        assert journal.kept.under_way == 0


async def test_bug_in_a_read_closes_its_streams_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(100))
        journal.kept.failure = RuntimeError("a bug")
        Client(hub, last_event_id=id_at(1))
        await eventually(lambda: not hub.streams)
        assert hub.counters.closed["error"] == 1
        assert "a read of the journal failed" in caplog.text
        journal.kept.failure = None
        client = Client(hub, last_event_id=id_at(1))
        assert await all_of(client, 99) == ids_of(2, 100)


async def test_waiting_stream_is_not_taken_for_a_slow_client() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(100))
        journal.kept.gate = asyncio.Event()
        client = Client(hub, last_event_id=id_at(1))
        client.stream.stalled_at = -1_000.0
        await hub._subscriptions.tick()
        assert list(hub.streams.values()) == [client.stream]
        journal.kept.gate.set()
        assert await all_of(client, 99) == ids_of(2, 100)


@pytest.mark.parametrize("end", ["client", "drain", "reset", "stop"])
async def test_stream_that_ends_during_a_read_gets_nothing_more_and_leaves_nothing(
    end: str, caplog: pytest.LogCaptureFixture
) -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(100))
        gate = journal.kept.gate = asyncio.Event()
        client = Client(hub, last_event_id=id_at(1))
        await eventually(lambda: journal.kept.under_way)
        if end == "client":
            client.end.close()
        elif end == "drain":
            await hub.drain()
        elif end == "reset":
            journal.begin_epoch()
        else:
            await hub.stop()
        await eventually(lambda: not hub.streams)
        assert hub.waiting == 0
        if end in ("drain", "stop"):
            assert journal.kept.under_way == 0
        gate.set()
        await eventually(lambda: not hub._subscriptions._replays._workers)
        assert journal.kept.under_way == 0
        assert "did not give" not in caplog.text
        if end != "client":
            *_, busy = client.read()
            assert busy.type == "busy"
            assert hub.counters.closed["shutdown"] == 1
        assert hub.counters.delivered == 0


async def test_page_of_a_new_log_that_the_hub_has_not_heard_of_is_not_sent() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(100))
        gate = journal.kept.gate = asyncio.Event()
        client = Client(hub, last_event_id=id_at(1))
        await eventually(lambda: journal.kept.under_way)
        journal.begin_epoch(is_told=False)
        journal.commit(drafts(100))
        gate.set()
        await eventually(lambda: not hub.streams)
        *_, busy = client.read()
        assert (busy.type, busy.json["reason"]) == ("busy", "restart")
        assert hub.counters.delivered == 0


async def test_stream_that_waits_for_its_turn_is_not_sent_what_a_new_log_has_at_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def not_yet(up_to: int | None = None) -> None:
        """Thousands of streams are ended in turns, and these come last."""

    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(100))
        gate = journal.kept.gate = asyncio.Event()
        # More places than are read at once: the last ones are read after the new log began.
        clients = [Client(hub, last_event_id=id_at(1 + n)) for n in range(2 * MAX_READS)]
        await eventually(lambda: journal.kept.under_way)
        with monkeypatch.context() as patched, hub.end_of_turn:
            patched.setattr(hub._subscriptions, "_end_all", not_yet)
            journal.begin_epoch()
            hub.append(drafts(100))
        gate.set()
        await eventually(lambda: not hub.streams)
        for client in clients:
            assert client.ids() == []


@pytest.mark.parametrize("filter", [Filter(), A])
async def test_stream_whose_next_events_leave_the_journal_comes_back_and_is_told(
    filter: Filter,
) -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(100, "a"))
        gate = journal.kept.gate = asyncio.Event()
        client = Client(hub, filter, last_event_id=id_at(1))
        await eventually(lambda: journal.kept.under_way)
        journal.trim(50)
        gate.set()
        await eventually(lambda: not hub.streams)
        assert hub.counters.closed["slow"] == 1
        (welcome,) = client.read()
        again = Client(hub, filter, last_event_id=welcome.last_event_id)
        told = [event.type for event in again.read()[:2]]
        assert told == ["connection", "gap"]
        assert await all_of(again, 50) == ids_of(51, 100)


@pytest.mark.parametrize("filter", [Filter(), A])
async def test_window_may_have_what_the_journal_counts_as_gone(filter: Filter) -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(100, "a"))
        journal.trim(95)
        client = Client(hub, filter, last_event_id=id_at(92))
        assert [event.type for event in client.read()[:2]] == ["connection", "tick"]
        lagging = Client(hub, filter, last_event_id=id_at(91))
        await hub._subscriptions.tick()
        assert await all_of(lagging, 9) == ids_of(92, 100)
        assert sum(hub.counters.gaps.values()) == hub.counters.closed["slow"] == 0


async def test_quiet_filter_loses_nothing_when_others_events_leave_the_journal() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(1, "a"), *drafts(60, "b"), *drafts(10, "a"), *drafts(30, "b"))
        gate = journal.kept.gate = asyncio.Event()
        client = Client(hub, A, last_event_id=id_at(1))
        await eventually(lambda: journal.kept.under_way)
        journal.trim(50)
        gate.set()
        assert await all_of(client, 10) == ids_of(62, 71)
        await settled(hub)
        assert sum(hub.counters.closed.values()) == 0


async def test_filter_that_finds_nothing_in_the_journal_goes_on_from_the_window() -> None:
    """As after a restart, when nobody remembers what left the window."""
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(1, "a"), *drafts(5_000, "b"))
    async with running(journal, **window_of(10)) as hub:
        client = Client(hub, A, last_event_id=id_at(1))
        (welcome,) = client.read()
        assert welcome.json["missed"] == 0
        await settled(hub)
        assert journal.kept.reads > 1
        await hub.publish(*drafts(1, "a"))
        assert await all_of(client, 1) == [id_at(5_002)]


async def test_restarted_hub_tells_no_gap_and_replays_all() -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(300))
    async with running(journal, **window_of(10)) as hub:
        client = Client(hub, last_event_id=id_at(100))
        assert await all_of(client, 200) == ids_of(101, 300)
        assert sum(hub.counters.gaps.values()) == 0


async def test_journal_that_does_not_give_what_it_should_keep_ends_the_stream(
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal = KeptJournal()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(100))
        del journal.kept.log[20:30]
        client = Client(hub, last_event_id=id_at(1))
        await eventually(lambda: not hub.streams)
        *_, busy = client.read()
        assert (busy.type, hub.counters.delivered) == ("busy", 0)
        assert "did not give what it should keep" in caplog.text


# --- ids of other processes -----------------------------------------------------------------------


def shared() -> KeptJournal:
    journal = KeptJournal()
    journal.kept.may_be_ahead = True
    return journal


async def test_id_that_another_process_has_sent_already_waits_for_it_and_is_no_gap() -> None:
    journal = shared()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(5))
        others = journal.commit(drafts(3))
        client = Client(hub, last_event_id=id_at(7), presence=True)
        await asyncio.sleep(0)
        assert client.stream.state == State.WAITING
        assert (hub.waiting, client.read()) == (1, [])
        await hub._subscriptions.tick()
        journal.deliver(others)
        seen: list[Any] = []

        def has_the_last() -> bool:
            seen.extend(client.read())
            return bool(seen) and seen[-1].last_event_id == id_at(8)

        await eventually(has_the_last)
        assert [event.type for event in seen] == ["connection", "tick"]
        assert (seen[0].json["missed"], seen[0].last_event_id) == (0, id_at(7))
        await settled(hub)
        await hub.publish(*drafts(1))
        assert await all_of(client, 1) == [id_at(9)]
        assert hub.counters.resumes == {"complete": 1, "gap": 0}
        assert_conserved(hub)


async def test_id_ahead_waits_also_where_the_socket_takes_nothing_at_first() -> None:
    journal = shared()
    async with running(journal, **window_of(10)) as hub:
        await hub.publish(*drafts(5))
        others = journal.commit(drafts(3))
        ours, theirs = tcp_pair()
        comment = b":\n" * 4_096
        with suppress(BlockingIOError):
            while ours.send(comment) == len(comment):
                pass
        stream = hub.subscribe(ours, Filter(), last_event_id=id_at(7), chunked=False)
        assert stream in hub.lagging
        assert hub.waiting == 1
        taken = b""

        def take() -> bytes:
            nonlocal taken
            with suppress(BlockingIOError):
                while data := theirs.recv(65_536):
                    taken += data
            return taken

        await eventually(lambda: take() and stream.state == State.WAITING)
        journal.deliver(others)
        await eventually(lambda: id_at(8).encode() in take())
        assert taken.count(b"event: connection") == 1
        assert taken.count(b"event: tick") == 1
        assert_conserved(hub)
        theirs.close()


async def test_id_that_does_not_come_is_unknown_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.hub.ahead.AHEAD_S", 0.05)
    async with running(shared(), **window_of(10)) as hub:
        await hub.publish(*drafts(50))
        client = Client(hub, last_event_id=id_at(99))
        seen: list[Any] = []

        def has_all() -> bool:
            seen.extend(client.read())
            return len(seen) == 52

        await eventually(has_all)
        welcome, gap, *events = seen
        assert (welcome.type, welcome.last_event_id) == ("connection", id_at(0))
        assert (gap.type, gap.json["reason"]) == ("gap", "unknown")
        assert [event.last_event_id for event in events] == ids_of(1, 50)
        await settled(hub)
        assert_conserved(hub)


@pytest.mark.parametrize("end", ["client", "drain", "reset"])
async def test_stream_that_ends_before_its_id_came_leaves_nothing(end: str) -> None:
    journal = shared()
    async with running(journal, **window_of(10)) as hub:
        client = Client(hub, last_event_id=id_at(7))
        if end == "client":
            client.end.close()
        elif end == "drain":
            await hub.drain()
        else:
            journal.begin_epoch()
        await eventually(lambda: not hub.streams)
        assert (hub.waiting, hub._subscriptions._ahead._timer) == (0, None)
        assert len(hub._fan_out) == 0
        assert_conserved(hub)


async def test_id_ahead_is_unknown_at_once_where_no_other_process_could_have_sent_it() -> None:
    async with running(KeptJournal(), **window_of(10)) as hub:
        client = Client(hub, last_event_id=id_at(7))
        assert [event.type for event in client.read()] == ["connection", "gap"]
