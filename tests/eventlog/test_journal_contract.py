"""What every journal promises."""

from __future__ import annotations

import asyncio
from itertools import chain

import pytest

from tests.eventlog.contract import Receiver, drafts, group
from tests.eventlog.journals import STORES, Store
from tocsin.core.event import Draft, EventId
from tocsin.core.filters import EVERYTHING, Filter
from tocsin.errors import KeyReused, Unavailable
from tocsin.eventlog.journal import Append, Committed, MemoryJournal, Once, Window


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
    receiver.journal.append(group("a")).cancel()
    await receiver.append(*drafts("b"))
    assert receiver.texts() == [b"a", b"b"]
    await receiver.journal.stop()


async def test_stop_commits_and_delivers_what_is_under_way(store: Store) -> None:
    receiver = await Receiver.start(store)
    futures = [receiver.journal.append(group(text)) for text in "abc"]
    await receiver.journal.stop()
    assert receiver.texts() == [b"a", b"b", b"c"]
    assert all(future.done() for future in futures)


async def test_journal_that_takes_no_appends_says_why(store: Store) -> None:
    receiver = Receiver(store)
    assert receiver.journal.status != ""
    with pytest.raises(Unavailable):
        await receiver.journal.append(group("a"))
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


async def test_events_behind_the_window_can_be_read(durable: Store) -> None:
    before = await Receiver.start(durable)
    await before.append(*drafts(*"abcdefg"))
    await before.append(Draft("tick", b"h", "other"))
    await before.journal.stop()
    after = await Receiver.start(durable, window=2)
    history = after.journal.history
    assert history is not None
    kept = before.delivered
    page = await history.read(1, EVERYTHING, max_events=3, max_bytes=2**20)
    assert (list(page.events), page.cursor) == (kept[1:4], 4)
    page = await history.read(4, EVERYTHING, max_events=100, max_bytes=2**20)
    assert (list(page.events), page.cursor) == (kept[4:], 8)
    page = await history.read(0, EVERYTHING, max_events=100, max_bytes=1)
    assert (list(page.events), page.cursor) == (kept[:1], 1)
    page = await history.read(0, Filter(["other"]), max_events=100, max_bytes=2**20)
    assert (list(page.events), page.cursor) == (kept[7:], 8)
    page = await history.read(8, EVERYTHING, max_events=100, max_bytes=2**20)
    assert (list(page.events), page.cursor) == ([], 8)
    newest = await history.newest(EVERYTHING, 2, max_bytes=2**20, before=7)
    assert list(newest) == kept[4:6]
    assert not history.has_lost(0, EVERYTHING)
    assert (history.floor, history.events) == (0, 8)
    await after.journal.stop()


async def test_appends_of_a_group_are_each_committed_in_their_order(store: Store) -> None:
    receiver = await Receiver.start(store)
    outcomes = await receiver.append_group(Append(drafts("a", "b")), Append(drafts("c")))
    epoch = receiver.opening.floor.epoch
    assert list(outcomes) == [
        Committed([EventId(epoch, 1), EventId(epoch, 2)]),
        Committed([EventId(epoch, 3)]),
    ]
    assert receiver.texts() == [b"a", b"b", b"c"]
    await receiver.journal.stop()


def once(key: str, digest: bytes = b"1" * 16, scope: str = "") -> Once:
    return Once(scope, key, digest)


async def test_append_with_a_known_key_gets_the_ids_of_the_first(store: Store) -> None:
    receiver = await Receiver.start(store)
    append = Append(drafts("a", "b"), once("k"))
    (first,) = await receiver.append_group(append)
    (again,) = await receiver.append_group(append)
    assert isinstance(first, Committed)
    assert again == Committed(list(first.ids), is_duplicate=True)
    (same_turn, other_scope) = await receiver.append_group(
        append, Append(drafts("c"), once("k", scope="me"))
    )
    assert same_turn == again
    assert other_scope == Committed([EventId(first.ids[0].epoch, 3)])
    assert receiver.texts() == [b"a", b"b", b"c"]
    await receiver.journal.stop()


async def test_key_twice_in_a_group_is_appended_once(store: Store) -> None:
    receiver = await Receiver.start(store)
    append = Append(drafts("a"), once("k"))
    first, again = await receiver.append_group(append, append)
    assert isinstance(first, Committed)
    assert again == Committed(list(first.ids), is_duplicate=True)
    assert receiver.texts() == [b"a"]
    await receiver.journal.stop()


async def test_key_that_stands_for_other_content_is_refused_and_the_rest_appended(
    store: Store,
) -> None:
    receiver = await Receiver.start(store)
    await receiver.append_group(Append(drafts("a"), once("k")))
    refused, other = await receiver.append_group(
        Append(drafts("b"), once("k", b"2" * 16)), Append(drafts("c"))
    )
    assert isinstance(refused, KeyReused)
    assert isinstance(other, Committed)
    assert receiver.texts() == [b"a", b"c"]
    await receiver.journal.stop()


async def test_keys_are_known_after_a_restart(durable: Store) -> None:
    before = await Receiver.start(durable)
    append = Append(drafts("a"), once("k"))
    (first,) = await before.append_group(append)
    await before.journal.stop()
    after = await Receiver.start(durable)
    (again,) = await after.append_group(append)
    assert isinstance(first, Committed)
    assert again == Committed(list(first.ids), is_duplicate=True)
    assert after.texts() == []
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
    future = before.journal.append(group(*"abc"))
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
        await receiver.journal.append(group("b", "c"))
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
    await receiver.journal.stop()


async def test_what_the_hub_cannot_take_leaves_no_hole_in_memory() -> None:
    failures = [MemoryError()]

    def deliver(events: object) -> None:
        if failures:
            raise failures.pop()

    journal = MemoryJournal()
    await journal.start(deliver, lambda opening: None, Window(10, 1_000))
    with pytest.raises(MemoryError):
        journal.append(group("a"))
    assert await journal.append(group("b")) == [Committed([EventId(journal._epoch, 1)])]
