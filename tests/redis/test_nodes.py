"""What the processes of one log in Redis say of themselves: their clients, and their clients' numbers."""

from __future__ import annotations

from tests.redis.nodes import nodes
from tests.redis_process import RedisProcess
from tests.serving import StreamClient, eventually, serving
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
