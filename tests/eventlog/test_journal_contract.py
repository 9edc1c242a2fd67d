"""What every journal promises."""

from __future__ import annotations

import asyncio
from itertools import chain

import pytest

from tests.eventlog.contract import Receiver, drafts
from tests.eventlog.journals import STORES, Store
from tocsin.core.event import Draft, EventId
from tocsin.errors import Unavailable
from tocsin.eventlog.journal import MemoryJournal


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Store:
    return STORES[request.param]()


@pytest.fixture(params=[name for name, make in STORES.items() if make().is_durable])
def durable(request: pytest.FixtureRequest) -> Store:
    return STORES[request.param]()


@pytest.fixture(params=[name for name, make in STORES.items() if make().has_outages])
def failing(request: pytest.FixtureRequest) -> Store:
    return STORES[request.param]()


@pytest.fixture(params=[name for name, make in STORES.items() if make().has_resets])
def resetting(request: pytest.FixtureRequest) -> Store:
    return STORES[request.param]()


async def test_empty_log_opens_before_its_first_event(store: Store) -> None:
    receiver = await Receiver.start(store)
    assert (receiver.opening.floor.seq, list(receiver.opening.events)) == (0, [])
    (id,) = await receiver.append(*drafts("a"))
    assert id == EventId(receiver.opening.floor.epoch, 1)
    await receiver.journal.stop()


async def test_appends_are_delivered_in_the_order_of_the_calls(store: Store) -> None:
    receiver = await Receiver.start(store)
    texts = [f"{n}" for n in range(50)]
    ids = await asyncio.gather(*[receiver.append(*drafts(text)) for text in texts])
    assert [text.decode() for text in receiver.texts()] == texts
    assert [id for (id,) in ids] == [event.id for event in receiver.delivered]
    await receiver.journal.stop()


async def test_batch_keeps_its_events_together_and_in_order(store: Store) -> None:
    receiver = await Receiver.start(store)
    batches = [[f"{n}{letter}" for letter in "abc"] for n in range(20)]
    await asyncio.gather(*[receiver.append(*drafts(*batch)) for batch in batches])
    assert [text.decode() for text in receiver.texts()] == list(chain(*batches))
    await receiver.journal.stop()


async def test_delivered_event_is_the_draft_that_was_appended(store: Store) -> None:
    receiver = await Receiver.start(store)
    draft = Draft("tick", b"\xc3\xa9\n", "a", "other", ("b", "c"), "me", "00-1", "k-1", True)
    await receiver.append(draft)
    assert receiver.delivered[0].draft == draft
    await receiver.journal.stop()


async def test_appending_nothing_commits_nothing(store: Store) -> None:
    receiver = await Receiver.start(store)
    assert list(await receiver.append()) == []
    await receiver.append(*drafts("a"))
    assert receiver.head.seq == 1
    await receiver.journal.stop()


async def test_append_whose_answer_nobody_waits_for_is_delivered(store: Store) -> None:
    receiver = await Receiver.start(store)
    receiver.journal.append(drafts("a")).cancel()
    await receiver.append(*drafts("b"))
    assert receiver.texts() == [b"a", b"b"]
    await receiver.journal.stop()


async def test_stop_commits_and_delivers_what_is_under_way(store: Store) -> None:
    receiver = await Receiver.start(store)
    futures = [receiver.journal.append(drafts(text)) for text in "abc"]
    await receiver.journal.stop()
    assert receiver.texts() == [b"a", b"b", b"c"]
    assert all(future.done() for future in futures)


async def test_journal_that_takes_no_appends_says_why(store: Store) -> None:
    receiver = Receiver(store)
    assert receiver.journal.status != ""
    with pytest.raises(Unavailable):
        await receiver.journal.append(drafts("a"))
    receiver = await Receiver.start(store)
    assert receiver.journal.status == ""
    await receiver.journal.stop()
    assert receiver.journal.status != ""


async def test_restart_gives_the_same_log_or_a_later_epoch(store: Store) -> None:
    before = await Receiver.start(store)
    await before.append(*drafts("a", "b"))
    await before.journal.stop()
    after = await Receiver.start(store)
    if store.is_durable:
        assert after.opening.events == before.delivered
    else:
        assert after.opening.floor.epoch > before.opening.floor.epoch
    await after.append(*drafts("c"))
    await after.journal.stop()


async def test_opening_holds_the_newest_events(durable: Store) -> None:
    before = await Receiver.start(durable)
    await before.append(*drafts(*"abcde"))
    await before.journal.stop()
    after = await Receiver.start(durable, window=2)
    assert list(after.opening.events) == before.delivered[-2:]
    assert after.opening.floor == before.delivered[-3].id
    await after.journal.stop()


async def test_events_behind_the_window_can_be_read(store: Store) -> None:
    before = await Receiver.start(store)
    await before.append(*drafts(*"abcdefg"))
    await before.journal.stop()
    after = await Receiver.start(store, window=2)
    epoch = after.opening.floor.epoch
    page = list(await after.journal.read(EventId(epoch, 1), 3))
    rest = list(await after.journal.read(EventId(epoch, 4), 100))
    kept = before.delivered if store.is_durable else []
    assert (page, rest) == (kept[1:4], kept[4:])
    assert list(await after.journal.read(EventId(epoch, 7), 100)) == []
    assert list(await after.journal.read(EventId(epoch - 1, 1), 100)) == []
    await after.journal.stop()


async def test_what_was_committed_before_a_crash_is_there_after_it(durable: Store) -> None:
    before = await Receiver.start(durable)
    await before.append(*drafts("a"))
    await durable.crash(committed=drafts("b", "c"))
    assert before.texts() == [b"a"]
    after = await Receiver.start(durable)
    assert [event.draft.data for event in after.opening.events] == [b"a", b"b", b"c"]
    await after.append(*drafts("d"))
    await after.journal.stop()


async def test_append_that_a_crash_cuts_off_is_there_whole_or_not_at_all(durable: Store) -> None:
    before = await Receiver.start(durable)
    future = before.journal.append(drafts(*"abc"))
    await asyncio.sleep(0)
    await durable.crash()
    after = await Receiver.start(durable)
    found = [event.draft.data for event in after.opening.events]
    assert found in ([], [b"a", b"b", b"c"])
    assert found or future.cancelled() or not future.done()
    await after.journal.stop()


async def test_failed_append_leaves_nothing_behind(failing: Store) -> None:
    receiver = await Receiver.start(failing)
    await receiver.append(*drafts("a"))
    failing.break_down("the disk is full")
    assert receiver.journal.status == "the disk is full"
    with pytest.raises(Unavailable, match="the disk is full"):
        await receiver.journal.append(drafts("b", "c"))
    assert receiver.texts() == [b"a"]
    failing.break_down("")
    assert receiver.journal.status == ""
    (id,) = await receiver.append(*drafts("d"))
    assert (id.seq, receiver.texts()) == (2, [b"a", b"d"])
    await receiver.journal.stop()
    assert [e.draft.data for e in (await Receiver.start(failing)).opening.events] == [b"a", b"d"]


async def test_new_epoch_while_running_is_told_before_its_first_event(resetting: Store) -> None:
    receiver = await Receiver.start(resetting)
    await receiver.append(*drafts("a", "b"))
    resetting.begin_epoch()
    (id,) = await receiver.append(*drafts("c"))
    (opening,) = receiver.resets
    assert opening.floor.epoch > receiver.opening.floor.epoch
    assert id == EventId(opening.floor.epoch, opening.floor.seq + len(opening.events) + 1)
    assert list(await receiver.journal.read(receiver.opening.floor, 10)) == []
    await receiver.journal.stop()


async def test_what_the_hub_cannot_take_leaves_no_hole_in_memory() -> None:
    failures = [MemoryError()]

    def deliver(events: object) -> None:
        if failures:
            raise failures.pop()

    journal = MemoryJournal()
    await journal.start(deliver, lambda opening: None, 10)
    with pytest.raises(MemoryError):
        journal.append(drafts("a"))
    (id,) = await journal.append(drafts("b"))
    assert id.seq == 1
