from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import pytest

from tests.accounting import assert_conserved
from tests.hub.hubs import Client, append_now, drafts, running
from tests.serving import eventually
from tocsin import Filter
from tocsin.hub import fan_out
from tocsin.hub.group import Mark
from tocsin.hub.states import State
from tocsin.hub.stream import Stream, deliver_all


async def test_stream_that_joins_while_a_pass_fails_is_closed_like_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joining: list[Client] = []

    def fail(
        streams: Iterable[Stream], payload: bytes, base: Mark, mark: Mark, times: Sequence[float]
    ) -> int:
        monkeypatch.setattr(fan_out, "deliver_all", deliver_all)
        append_now(hub, 1)  # pending, so who comes now joins
        joining.append(Client(hub))
        append_now(hub, 1)
        assert joining[0].stream.state == State.JOINING
        raise RuntimeError("a bug")

    async with running() as hub:
        for _ in range(3):
            Client(hub)
        monkeypatch.setattr(fan_out, "deliver_all", fail)
        await hub.publish(*drafts(1))
        await eventually(lambda: joining and not hub._fan_out.is_under_way)
        assert hub.counters.closed["error"] == 4
        assert hub.streams == {}
        assert_conserved(hub)
        (welcome,) = joining[0].read()
        back = Client(hub, last_event_id=welcome.last_event_id)
        assert len(back.ids()) == 1


async def test_batch_for_many_groups_is_given_and_sent_to_them_in_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fan_out, "ROUTED_AT_ONCE", 100)
    monkeypatch.setattr(fan_out, "SLICE_S", 0.0)  # each group is a slice of its own
    async with running() as hub:
        clients = [Client(hub, Filter(["a*", f"u{number}"])) for number in range(30)]
        receipts = await hub.publish(*drafts(50, "a"), *drafts(50, "ab"), *drafts(1, "u3"))
        assert [receipt.recipients for receipt in receipts] == [30] * 100 + [1]
        assert_conserved(hub)
        turns = 0
        while hub._fan_out.is_under_way:
            await asyncio.sleep(0)
            turns += 1
        assert turns >= 50 * 30 / 100 + 30
        ids = [str(receipt.id) for receipt in receipts]
        for number, client in enumerate(clients):
            assert client.ids() == (ids if number == 3 else ids[:100])
        assert_conserved(hub)


async def test_count_of_streams_is_looked_up_once_for_all_events_alike_in_a_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running() as hub:
        Client(hub)
        looks: list[str] = []
        index = hub._fan_out._index
        count = index.count

        def look(topic: str, type: str, more_topics: tuple[str, ...] = ()) -> int:
            looks.append(topic)
            return count(topic, type, more_topics)

        monkeypatch.setattr(index, "count", look)
        await hub.publish(*drafts(80, "a"), *drafts(80, "b"))
        assert sorted(looks) == ["a", "b"]
