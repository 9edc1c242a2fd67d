"""What is counted adds up, over real sockets, while clients come, go, stall and resume."""

from __future__ import annotations

from tests.serving import StreamClient, eventually, publish, serving
from tocsin.app import Server
from tocsin.tally import Tally

BIG = b'{"filler": "%s"}' % (b"x" * 4_000)


def recipients(tally: Tally) -> int:
    return int(tally.recipients.sum)


def accounted_for(tally: Tally) -> int:
    return tally.delivered_live + tally.delivered_catchup + sum(tally.undelivered.values())


def is_settled(server: Server) -> bool:
    return not server.hub.lagging and recipients(server.hub.tally) == accounted_for(
        server.hub.tally
    )


async def test_every_recipient_is_counted_once_more_when_it_is_delivered() -> None:
    async with serving() as server:
        for query in ("", "?topic=a", "?topic=b", "?type=notification"):
            await StreamClient.open(server, query)
        await publish(server, 10, topic="a")
        tally = server.hub.tally
        await eventually(lambda: is_settled(server))
        assert (recipients(tally), tally.delivered_live) == (30, 30)
        assert sum(tally.latency_s.counts) == 30
        assert sum(tally.fanout_s.counts) == 3
