"""What every journal promises."""

from __future__ import annotations

import asyncio
from itertools import chain

import pytest

from tests.eventlog.appended import appended
from tests.eventlog.contract import Receiver, drafts, group, on
from tests.eventlog.journals import STORES, Store
from tocsin.core.event import Draft, EventId
from tocsin.core.filters import EVERYTHING, Filter
from tocsin.errors import KeyReused, TopicEnded, Unavailable
from tocsin.eventlog.journal import (
    Append,
    Committed,
    Final,
    MemoryJournal,
    Once,
    Outcome,
    Window,
)


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
    receiver.journal.append(group("a"), lambda result: None)
    await receiver.append(*drafts("b"))
    assert receiver.texts() == [b"a", b"b"]
    await receiver.journal.stop()


async def test_stop_commits_and_delivers_what_is_under_way(store: Store) -> None:
    receiver = await Receiver.start(store)
    futures = [appended(receiver.journal, group(text)) for text in "abc"]
    await receiver.journal.stop()
    assert receiver.texts() == [b"a", b"b", b"c"]
    assert all(future.done() for future in futures)


async def test_journal_that_takes_no_appends_says_why(store: Store) -> None:
    receiver = Receiver(store)
    assert receiver.journal.status != ""
    with pytest.raises(Unavailable):
        await appended(receiver.journal, group("a"))
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
    assert (list(newest.events), newest.before) == (kept[4:6], 5)
    newest = await history.newest(Filter(["nothing"]), 2, max_bytes=2**20, before=7)
    assert (list(newest.events), newest.before) == ([], 1)
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
    future = appended(before.journal, group(*"abc"))
    await asyncio.sleep(0)
    await durable.crash()
    after = await Receiver.start(durable)
    found = [event.draft.data for event in after.opening.events]
    assert found in ([], [b"a", b"b", b"c"])
    assert found or not future.done()
    await after.journal.stop()


async def test_failed_append_leaves_nothing_behind(failing: Store) -> None:
    receiver = await Receiver.start(failing)
    await receiver.append(*drafts("a"))
    failing.break_down("the disk is full")
    assert receiver.journal.status == "the disk is full"
    with pytest.raises(Unavailable, match="the disk is full"):
        await appended(receiver.journal, group("b", "c"))
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
        appended(journal, group("a"))
    assert await appended(journal, group("b")) == [Committed([EventId(journal._epoch, 1)])]


def refused(outcome: Outcome) -> tuple[str, int] | None:
    """The ended topic for which an append was refused, and the place of its event; None where it was committed."""
    return (outcome.topic, outcome.place) if isinstance(outcome, TopicEnded) else None


async def test_nothing_is_appended_to_a_topic_that_has_ended(store: Store) -> None:
    receiver = await Receiver.start(store)
    await receiver.append(on("a"), on("a", final=True), on("b"))
    outcomes = await receiver.append_group(
        Append([on("b")]), Append([on("b"), on("c", "a"), on("a")]), Append([on("c")])
    )
    assert [refused(outcome) for outcome in outcomes] == [None, ("a", 1), None]
    assert receiver.head.seq == 5
    assert receiver.ended == {"a": Final(2, "tick")}
    await receiver.journal.stop()


async def test_topic_that_ends_in_an_append_takes_nothing_later_in_it(store: Store) -> None:
    receiver = await Receiver.start(store)
    outcomes = await receiver.append_group(
        Append([on("b"), on("a", final=True), on("b"), on("b", "a")]),
        Append([on("a", final=True), on("a", final=True)]),
        Append([on("a")]),
    )
    assert [refused(outcome) for outcome in outcomes] == [("a", 3), ("a", 1), None]
    assert (receiver.head.seq, receiver.ended) == (1, {})
    await receiver.journal.stop()


async def test_topic_that_ends_in_a_turn_takes_nothing_later_in_it(store: Store) -> None:
    receiver = await Receiver.start(store)
    outcomes = await receiver.append_group(
        Append([on("a", final=True)]), Append([on("a")]), Append([on("b")])
    )
    assert [refused(outcome) for outcome in outcomes] == [None, ("a", 0), None]
    await receiver.journal.stop()


async def test_final_event_ends_all_its_topics(store: Store) -> None:
    receiver = await Receiver.start(store)
    await receiver.append(on("a", "b", "c", final=True))
    outcomes = await receiver.append_group(*[Append([on(topic)]) for topic in "abcd"])
    assert [refused(outcome) for outcome in outcomes] == [("a", 0), ("b", 0), ("c", 0), None]
    await receiver.journal.stop()


async def test_final_append_that_comes_again_is_a_duplicate(store: Store) -> None:
    receiver = await Receiver.start(store)
    final = Append([on("a"), on("a", final=True)], once("k"))
    first, again, other = await receiver.append_group(final, final, Append([on("a")], once("l")))
    assert isinstance(first, Committed)
    assert again == Committed(list(first.ids), is_duplicate=True)
    assert refused(other) == ("a", 0)
    # What was refused has used up no key.
    (later,) = await receiver.append_group(Append([on("b")], once("l")))
    assert later == Committed([EventId(first.ids[0].epoch, 3)])
    await receiver.journal.stop()


async def test_topics_that_ended_first_are_open_again_beyond_the_limit(store: Store) -> None:
    receiver = await Receiver.start(store)
    for topic in "abcd":
        await receiver.append(on(topic, final=True))
    assert list(receiver.ended) == ["b", "c", "d"]
    outcomes = await receiver.append_group(Append([on("b")]), Append([on("a", final=True)]))
    assert [refused(outcome) for outcome in outcomes] == [("b", 0), None]
    assert list(receiver.ended) == ["c", "d", "a"]
    outcomes = await receiver.append_group(*[Append([on(topic)]) for topic in "abcd"])
    assert [refused(outcome) for outcome in outcomes] == [("a", 0), None, ("c", 0), ("d", 0)]
    await receiver.journal.stop()


async def test_ended_topics_are_known_over_a_restart(durable: Store) -> None:
    before = await Receiver.start(durable)
    await before.append(*[on(topic, final=True) for topic in "abcd"], *drafts("e", "f"))
    await before.journal.stop()
    after = await Receiver.start(durable, window=1)  # the events that ended them aren't in it
    assert (
        after.ended
        == before.ended
        == {each: Final(seq, "tick") for each, seq in zip("bcd", (2, 3, 4), strict=True)}
    )
    outcomes = await after.append_group(*[Append([on(topic)]) for topic in "abcd"])
    assert [refused(outcome) for outcome in outcomes] == [None, ("b", 0), ("c", 0), ("d", 0)]
    await after.journal.stop()


async def test_ended_topics_are_known_over_a_crash(durable: Store) -> None:
    before = await Receiver.start(durable)
    await before.append(on("a", final=True))
    await durable.crash(committed=[on("b"), on("b", final=True)])
    after = await Receiver.start(durable)
    assert after.ended == {"a": Final(1, "tick"), "b": Final(3, "tick")}
    outcomes = await after.append_group(Append([on("a")]), Append([on("b")]))
    assert [refused(outcome) for outcome in outcomes] == [("a", 0), ("b", 0)]
    await after.journal.stop()


async def test_failed_append_ends_nothing(failing: Store) -> None:
    receiver = await Receiver.start(failing)
    failing.break_down("the disk is full")
    with pytest.raises(Unavailable):
        await appended(receiver.journal, [Append([on("a", final=True)])])
    failing.break_down("")
    await receiver.append(on("a"))
    await receiver.journal.stop()


async def test_topics_are_open_again_in_a_new_epoch(resetting: Store) -> None:
    receiver = await Receiver.start(resetting)
    await receiver.append(on("a", final=True))
    resetting.begin_epoch()
    await receiver.append(on("a"))
    (opening,) = receiver.resets
    assert list(opening.ended) == []
    await receiver.journal.stop()
