"""What the processes of one log in Redis say of themselves: their clients, and their clients' numbers."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.eventlog.appended import appended
from tests.redis.nodes import LIMITS, nodes
from tests.redis_process import RedisProcess
from tests.serving import StreamClient, eventually, serving
from tocsin import Draft
from tocsin.errors import TopicEnded
from tocsin.eventlog.journal import Append
from tocsin.eventlog.journal.redis.nodes import NUMBERS


async def test_clients_and_presence_are_those_of_all_hubs(
    shared_redis: RedisProcess, prefix: str
) -> None:
    shared = {"journal": shared_redis.url, "redis_prefix": prefix, "canary": 0}
    async with serving(**shared) as one, serving(**shared) as other:
        first = await StreamClient.open(one, "?presence=1")
        assert (await first.next()).json["clients"] == 1
        await eventually(lambda: other.hub.clients == 1, "the other hub to hear of it")
        second = await StreamClient.open(other)
        assert (await second.next()).json["clients"] == 2
        presence = await first.next()
        assert (presence.type, presence.json["clients"]) == ("presence", 2)


async def test_hub_that_stops_takes_its_clients_away(
    shared_redis: RedisProcess, prefix: str
) -> None:
    shared = {"journal": shared_redis.url, "redis_prefix": prefix, "canary": 0}
    async with serving(**shared) as one:
        async with serving(**shared) as other:
            await StreamClient.open(other)
            await eventually(lambda: one.hub.clients == 1)
        await eventually(lambda: one.hub.clients == 0)


async def test_client_numbers_are_unique_over_hubs(shared_redis: RedisProcess, prefix: str) -> None:
    shared = {"journal": shared_redis.url, "redis_prefix": prefix, "canary": 0}
    async with serving(**shared) as one, serving(**shared) as other:
        numbers = []
        for server in (one, other, one, other):
            client = await StreamClient.open(server)
            numbers.append((await client.next()).json["id"])
        assert numbers == [1, NUMBERS + 1, 2, NUMBERS + 2]


async def test_numbers_of_living_nodes_are_not_given_again_when_redis_was_emptied(
    redis: RedisProcess,
) -> None:
    async with nodes(redis, 2) as (_, second):
        redis.ask("FLUSHALL")
        redis_knows = lambda: redis.ask("GET", "{tocsin}:processes") == b"$1\r\n2\r\n"  # noqa: E731
        await second.until(redis_knows)
        async with nodes(redis) as (third,):
            assert third.journal.nodes.number_base == 2 * NUMBERS


async def test_node_that_says_nothing_is_forgotten(redis: RedisProcess) -> None:
    async with nodes(redis) as (node,):
        redis.ask("HSET", "{tocsin}:nodes", "dead", "1 7")
        redis.ask("HSET", "{tocsin}:nodes", "alive", "99999999999 5")
        await node.until(lambda: node.journal.nodes.clients_elsewhere == 5)


async def test_topic_that_one_hub_ends_has_ended_on_all(
    shared_redis: RedisProcess, prefix: str
) -> None:
    shared = {"journal": shared_redis.url, "redis_prefix": prefix, "canary": 0}
    async with serving(**shared) as one, serving(**shared) as other:
        stream = await StreamClient.open(other, "?topic=jobs/1")
        (receipt,) = await one.hub.publish(Draft("done", b"{}", "jobs/1", final=True))
        events = await stream.read_to_end()
        assert [event.type for event in events] == ["connection", "done", "end"]
        with pytest.raises(TopicEnded):
            await other.hub.publish(Draft("more", b"{}", "jobs/1"))
        async with serving(**shared, window_events=1) as third:  # it comes when the event is old
            await other.hub.publish(Draft("tick", b"{}"), Draft("tick", b"{}"))
            await eventually(lambda: third.hub.head == other.hub.head)
            stream = await StreamClient.open(third, "?topic=jobs/1")
            events = await stream.read_to_end()
            assert [event.type for event in events] == ["connection", "done", "end"]
            back = await StreamClient.open(
                third, "?topic=jobs/1", **{"Last-Event-ID": str(receipt.id)}
            )
            assert back.status == 204


async def test_ended_topics_stay_within_their_number_in_redis_too(
    shared_redis: RedisProcess, prefix: str
) -> None:
    def kept() -> tuple[bytes, bytes]:
        names = (f"{{{prefix}}}:ended", f"{{{prefix}}}:ended-order")
        return shared_redis.ask("HLEN", names[0]), shared_redis.ask("LLEN", names[1])

    limits = replace(LIMITS, ended_topics=5)
    async with nodes(shared_redis, prefix=prefix, limits=limits) as (node,):
        drafts = [Draft("tick", b"x", f"t/{number}", final=True) for number in range(20)]
        await appended(node.journal, [Append(drafts)])
        assert kept() == (b":5\r\n", b":5\r\n")
    # A lower limit is kept from the next one that ends.
    async with nodes(shared_redis, prefix=prefix, limits=replace(limits, ended_topics=2)) as (
        node,
    ):
        await appended(node.journal, [Append([Draft("tick", b"x", "u", final=True)])])
        assert kept() == (b":2\r\n", b":2\r\n")
