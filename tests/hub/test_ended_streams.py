"""Streams of a topic that ends while a pass is under way."""

from __future__ import annotations

import asyncio

import pytest

from tests.hub.hubs import Client, running
from tests.serving import eventually
from tocsin import Draft, Filter, Hub

ON_A = Filter(["a"])


def event(topic: str, type: str = "tick", *, final: bool = False) -> Draft:
    return Draft(type, b"{}", topic, final=final)


def types(client: Client) -> list[str]:
    return [each.type for each in client.read()]


async def until_over(hub: Hub) -> None:
    await eventually(lambda: not hub.streams, "the end of all streams")
    assert hub.counters.closed["ended"] > 0
    assert hub.counters.undelivered["ended"] == 0


@pytest.mark.parametrize("turns", range(8))
async def test_final_event_that_comes_during_a_pass_is_sent_before_the_end(
    monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    monkeypatch.setattr("tocsin.hub.fan_out.SLICE", 1)
    monkeypatch.setattr("tocsin.hub.fan_out.PART", 1)
    async with running() as hub:
        clients = [Client(hub, ON_A) for _ in range(4)]
        # Two events: one alone would be sent to a small group in one go.
        await hub.publish(event("a"), event("a"))
        for _ in range(turns):
            await asyncio.sleep(0)
        await hub.publish(event("a", final=True))
        await until_over(hub)
        for client in clients:
            assert types(client) == ["connection", "tick", "tick", "tick", "end"]


@pytest.mark.parametrize("turns", range(8))
async def test_final_event_that_no_group_was_given_yet_is_sent_before_the_end(
    monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    for name in ("SLICE", "PART", "ROUTED_AT_ONCE"):
        monkeypatch.setattr(f"tocsin.hub.fan_out.{name}", 1)
    async with running() as hub:
        clients = [Client(hub, Filter(["a"], ["tick"])) for _ in range(4)]
        others = [Client(hub, Filter(["a", "b"], ["note"])) for _ in range(2)]
        await hub.publish(event("a"), event("a"))
        for _ in range(turns):
            await asyncio.sleep(0)
        # The first is for others, so that nothing is pending for those who wait for the second.
        await hub.publish(event("a", "note"), event("a", final=True))
        await hub.publish(event("b", final=True))
        await until_over(hub)
        for client in clients:
            assert types(client) == ["connection", "tick", "tick", "tick", "end"]
        for client in others:
            assert types(client) == ["connection", "note", "end", "end"]


@pytest.mark.parametrize("final_type", ["tick", "done"])
async def test_what_no_group_was_given_yet_is_sent_before_the_end(
    monkeypatch: pytest.MonkeyPatch, final_type: str
) -> None:
    monkeypatch.setattr("tocsin.hub.fan_out.ROUTED_AT_ONCE", 1)
    async with running() as hub:
        clients = [Client(hub, Filter(["a", f"other/{number}"], ["tick"])) for number in range(3)]
        await hub.publish(*[event(f"other/{number}", final=True) for number in range(3)])
        await hub.publish(*[event("a")] * 5, event("a", final_type, final=True))
        await until_over(hub)
        told = ["tick"] * (6 if final_type == "tick" else 5)
        for client in clients:
            assert types(client) == ["connection", "tick", "end", *told, "end"]


async def test_stream_that_opens_while_its_topic_ends_gets_all_of_it() -> None:
    async with running() as hub:
        first = Client(hub, ON_A)
        publishing = hub.append([event("a"), event("a", final=True)])
        second = Client(hub, ON_A)  # before the turn in which they are published is over
        await publishing
        third = Client(hub, ON_A)  # before they are sent
        await until_over(hub)
        for client in (first, second, third):
            assert types(client) == ["connection", "tick", "tick", "end"]


async def test_ends_of_many_topics_that_many_name_are_told_in_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tocsin.hub.fan_out.ROUTED_AT_ONCE", 10)
    monkeypatch.setattr("tocsin.hub.fan_out.SLICE_S", 0.0)
    topics = [f"job/{number}" for number in range(8)]
    async with running() as hub:
        clients = [Client(hub, Filter(topics, [f"t{number}"])) for number in range(20)]
        await hub.publish(*[event(topic, final=True) for topic in topics])
        turns = 0
        while hub._fan_out.is_under_way:
            await asyncio.sleep(0)
            turns += 1
        assert turns >= len(topics)  # each of them has more groups than are told in a turn
        await until_over(hub)
        for client in clients:
            assert types(client) == ["connection", *["end"] * len(topics)]
