from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

import tocsin.app
from tests.accounting import assert_conserved
from tests.eventlog.journals import ListStore
from tests.hub.hubs import Client, drafts, running, settled
from tests.serving import eventually
from tocsin import Filter, Hub, Settings, Unavailable
from tocsin.errors import Busy, KeyReused
from tocsin.eventlog.journal import Append, MemoryJournal, Once, Opening, Tell
from tocsin.hub import publishing


def broken(*_: Any, **__: Any) -> None:
    raise MemoryError("no memory")


# --- receipts -------------------------------------------------------------------------------------


async def test_appends_of_one_turn_are_handed_to_the_journal_together() -> None:
    groups: list[int] = []

    class Journal(MemoryJournal):
        def append(self, appends: Sequence[Append], tell: Tell) -> None:
            groups.append(len(appends))
            super().append(appends, tell)

    async with running(Journal()) as hub:
        Client(hub)
        with hub.end_of_turn:
            first, second = hub.append(drafts(2)), hub.append(drafts(1))
            assert groups == []
        assert [(r.id.seq, r.recipients) for r in first.result()] == [(1, 1), (2, 1)]
        assert [(r.id.seq, r.recipients) for r in second.result()] == [(3, 1)]
        third, fourth = hub.append(drafts(1)), hub.append(drafts(1))
        await asyncio.gather(third, fourth)
        assert groups == [2, 2]


async def test_publisher_is_told_of_a_duplicate_and_of_a_key_that_stands_for_something_else() -> (
    None
):
    once = Once("me", "k", b"1" * 16)
    async with running() as hub:
        client = Client(hub)
        (first,) = await hub.append(drafts(1), once)
        (again,) = await hub.append(drafts(1), once)
        assert (again.id, again.is_duplicate, again.recipients) == (first.id, True, 0)
        with pytest.raises(KeyReused, match="'k' was used"):
            await hub.append(drafts(1), Once("me", "k", b"2" * 16))
        await settled(hub)
        assert client.ids() == [str(first.id)]
        assert hub.counters.journal_errors == 0


async def test_drafts_that_wait_for_the_journal_are_bounded_in_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publishing, "MAX_WAITING_BYTES", 100)
    async with running(ListStore(turns=3).open()) as hub:
        first = hub.append(drafts(1, data=b"x" * 60))
        await asyncio.sleep(0)
        second = hub.append(drafts(1, data=b"x" * 40))
        with pytest.raises(Unavailable) as refused:
            hub.append(drafts(1, data=b"x"))
        assert refused.value.code == "busy"
        await asyncio.gather(first, second)
        await hub.publish(*drafts(1, data=b"x" * 100))


async def test_append_is_done_when_a_slow_journal_has_committed() -> None:
    async with running(ListStore(turns=5).open()) as hub:
        Client(hub, Filter(["a"]))
        first, second = hub.append(drafts(2, "a")), hub.append(drafts(1, "b"))
        assert not first.done()
        assert [r.recipients for r in await first] == [1, 1]
        assert [(r.id.seq, r.recipients) for r in await second] == [(3, 0)]
        assert not hub._publishing._delivered


async def test_counts_of_one_append_survive_another_that_is_asked_for_meanwhile() -> None:
    """The events of the first are delivered, and its publisher isn't told yet, when the second comes."""
    async with running(ListStore(turns=1).open()) as hub:
        Client(hub, Filter(["a"]))
        answers = []
        for _ in range(20):
            answers.append(hub.append(drafts(2, "a")))
            await asyncio.sleep(0)
            answers.append(hub.append(drafts(1, "a")))
        counts = [r.recipients for answer in answers for r in await answer]
        assert counts == [1] * 60
        assert not hub._publishing._delivered


async def test_append_that_the_journal_refuses_is_unavailable_and_counted() -> None:
    store = ListStore()
    async with running(store.open()) as hub:
        answer = hub.append(drafts(1))
        store.break_down("disk full")
        with pytest.raises(Unavailable, match="disk full"):
            await answer
        assert (hub.not_ready, hub.counters.journal_errors) == ("journal_down", 1)
        with pytest.raises(Unavailable) as refused:
            await hub.append(drafts(1))
        assert refused.value.code == "journal_down"
        store.break_down("")
        assert len(await hub.publish(*drafts(1))) == 1


async def test_publisher_who_gives_up_leaves_the_events_in_the_log() -> None:
    async with running(ListStore(turns=3).open()) as hub:
        client = Client(hub)
        hub.append(drafts(1)).cancel()
        await hub.publish(*drafts(1))
        await settled(hub)
        assert len(client.ids()) == 2
        assert not hub._publishing._delivered


async def test_streams_get_an_event_before_the_publishers_of_a_slow_journal_are_told() -> None:
    """They would else wait for the answers of hundreds of publishers that are told at once."""
    async with running(ListStore(turns=1).open()) as hub:
        client = Client(hub)
        had: list[int] = []
        for _ in range(3):
            hub.enqueue(drafts(1), None, lambda told: had.append(len(client.ids())))
        await eventually(lambda: len(had) == 3)
        assert had == [3, 0, 0]  # each look takes what has come


@pytest.mark.parametrize("turns", [None, 0, 2], ids=["memory", "list", "slow list"])
async def test_publisher_who_cannot_be_told_keeps_nobody_else_from_it(
    turns: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[object] = []

    def fail(result: object) -> None:
        raise RuntimeError("a bug")

    async with running(None if turns is None else ListStore(turns).open()) as hub:
        for group in range(3):
            with hub.end_of_turn:
                hub.enqueue(drafts(1), None, told.append)
                hub.enqueue(drafts(1), None, fail if group == 1 else told.append)
                hub.enqueue(drafts(1), None, told.append)
        await eventually(lambda: len(told) == 8)
        of = hub._publishing
        assert (of._under_way, of._waiting_bytes, of._counts, len(of._delivered)) == (0, 0, 0, 0)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "a publisher was not told what came of its events"
    ]


# --- what must not go wrong silently --------------------------------------------------------------


async def test_hub_that_could_not_take_a_committed_event_says_so_and_takes_no_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as hub:
        with monkeypatch.context() as patched:
            patched.setattr(hub.ring, "append", broken)
            with pytest.raises(MemoryError):
                await hub.append(drafts(1))
        assert isinstance(hub.failure.result(), MemoryError)
        assert (hub.not_ready, hub.is_ready) == ("failed", False)
        with pytest.raises(Unavailable) as refused:
            await hub.publish(*drafts(1))
        assert refused.value.code == "failed"
        with pytest.raises(Busy):
            Client(hub)
        assert [r.levelname for r in caplog.records] == ["CRITICAL"]


async def test_pass_that_could_not_give_events_to_groups_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running() as hub:
        Client(hub)
        monkeypatch.setattr("tocsin.hub.fan_out.ROUTED_AT_ONCE", 1)
        hub.append(drafts(3))
        monkeypatch.setattr(hub._fan_out._index, "matching", broken)
        await asyncio.wait_for(hub.failure, 5)
        assert hub.not_ready == "failed"


async def test_process_ends_with_an_error_when_its_hub_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    servers: list[tocsin.app.Server] = []

    class Server(tocsin.app.Server):
        async def start(self) -> None:
            await super().start()
            servers.append(self)

    monkeypatch.setattr(tocsin.app, "Server", Server)
    serving = asyncio.ensure_future(tocsin.app.serve(Settings(port=0, drain_timeout=0.1)))
    await eventually(lambda: servers)
    servers[0].hub._publishing.fail(MemoryError("no memory"))
    with pytest.raises(MemoryError):
        await asyncio.wait_for(serving, 5)


async def test_publisher_is_told_that_it_published_even_if_counting_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as hub:
        client = Client(hub)
        monkeypatch.setattr(hub.counters, "count_published", broken)
        (receipt,) = await hub.publish(*drafts(1))
        await settled(hub)
        assert client.ids() == [str(receipt.id)]
        assert "counting failed" in caplog.text
        assert hub.is_ready


# --- another log ----------------------------------------------------------------------------------


async def test_new_epoch_ends_the_streams_of_the_old_one_and_they_resume_with_a_gap() -> None:
    store = ListStore()
    async with running(store.open()) as hub:
        old = Client(hub, Filter(["a"]))
        (receipt,) = await hub.publish(*drafts(1, "a"))
        store.begin_epoch()
        new = Client(hub, Filter(["a"]), last_event_id=str(receipt.id))
        (after,) = await hub.publish(*drafts(1, "a"))
        assert after.recipients == 1
        assert await old.is_cut_off() == "closed"
        assert list(hub.streams.values()) == [new.stream]
        _, gap, event = new.read()
        assert (gap.type, gap.json["reason"]) == ("gap", "restart")
        assert event.last_event_id == str(after.id)
        assert hub.counters.closed["shutdown"] == 1


async def test_lagging_stream_of_an_old_epoch_reads_nothing_of_the_new_one() -> None:
    store = ListStore()
    async with running(store.open()) as hub:
        slow = Client(hub, tcp=True)
        await hub.publish(*drafts(20, data=b"1" * 60_000))
        await eventually(lambda: hub.lagging)
        hub._publishing._reset(Opening(hub.ring.id_at(0)._replace(epoch=5_000)))
        before = {event.last_event_id for event in slow.read()}
        await eventually(lambda: slow.read() == [] and not hub.streams)
        assert all(not id.startswith("5000-") for id in before)


async def test_counts_of_events_that_others_published_are_not_kept() -> None:
    store = ListStore(turns=3)
    journal = store.open()
    async with running(journal) as hub:
        answer = hub.append(drafts(1))
        hub._publishing._deliver(
            store.commit(drafts(5))
        )  # as another process on the same log would
        await answer
        assert not hub._publishing._delivered
        assert_conserved(hub)


async def test_hub_says_what_it_is_before_it_is_started() -> None:
    hub = Hub(Settings())
    assert hub.not_ready == "journal_down"
    assert "clients=0" in repr(hub)
