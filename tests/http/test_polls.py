"""Long polls: answered at once where there is something, else with the first events that come, or empty."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from tests.raw import get
from tests.serving import eventually, publish, serving
from tocsin import Draft
from tocsin.app import Server
from tocsin.http.fast_lane import FastConnection


class Poller:
    """A connection that asks again and again."""

    def __init__(self, server: Server, *headers: str, method: str = "GET") -> None:
        self._server = server
        self._method = method.encode()
        self._headers = headers
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, query: str) -> None:
        """Send a request, and don't wait for its answer."""
        if not self._writer:
            port = self._server.port
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        request = get(f"/api/history?{query}", *self._headers)
        self._writer.write(self._method + request.removeprefix(b"GET"))
        await self._writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """Status, header fields and body of the next answer."""
        async with asyncio.timeout(30):
            status, fields = await self.head()
            body = await self._reader.readexactly(int(fields["content-length"]))
        return status, fields, json.loads(body)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Status and header fields of the next answer."""
        async with asyncio.timeout(30):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.strip().split("\r\n")
        fields = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
        return int(status.split()[1]), fields

    @property
    def is_closed(self) -> bool:
        """Whether the hub closed the connection."""
        return self._reader.at_eof()

    async def page(self, query: str = "") -> Any:
        """The answer to a request, as JSON."""
        if query:
            await self.ask(query)
        status, _, body = await self.answer()
        assert status == 200, body
        return body

    def close(self) -> None:
        if self._writer:
            self._writer.close()


def ids(page: Any) -> list[str]:
    return [event["id"] for event in page["events"]]


async def waiting(server: Server, count: int) -> None:
    await eventually(lambda: len(server.hub.polls) == count, f"{count} polls")


async def test_poll_gets_what_is_there_at_once_else_the_first_that_comes() -> None:
    async with serving() as server:
        poller = Poller(server)
        (first,) = await publish(server, topic="a")
        page = await poller.page("topic=a")
        assert (ids(page), page["next"], page["cursor"]) == ([first], None, first)
        await poller.ask(f"topic=a&after={page['cursor']}&wait=60")
        await waiting(server, 1)
        await publish(server, topic="b")
        assert len(server.hub.polls) == 1
        second, third = await publish(server, 2, topic="a")
        page = await poller.page()
        assert (ids(page), page["cursor"], page["more"]) == ([second, third], third, False)
        assert ids(await poller.page(f"topic=a&after={first}&wait=60&limit=1")) == [second]
        assert len(server.hub.polls) == 0
        poller.close()


async def test_cursor_of_every_page_is_where_to_go_on() -> None:
    async with serving() as server:
        poller = Poller(server)
        assert (await poller.page("limit=1"))["cursor"].endswith("-0")
        events = [await publish(server, topic=topic) for topic in "abaca"]
        head = events[-1][0]
        for query in ("limit=2", "topic=c", "topic=none", "last_per_topic=1", "topic=b&limit=1"):
            assert (await poller.page(query))["cursor"] == head
        found: list[str] = []
        page = await poller.page("after=earliest&topic=a&limit=1")
        while page["events"]:
            found += ids(page)
            page = await poller.page(f"after={page['cursor']}&topic=a&limit=1")
        assert found == [events[0][0], events[2][0], events[4][0]]
        poller.close()


async def test_poll_whose_time_is_over_is_empty_and_its_cursor_is_good() -> None:
    async with serving() as server:
        poller = Poller(server)
        (id,) = await publish(server, topic="b")
        page = await poller.page(f"after={id}&topic=a&wait=1")
        assert (ids(page), page["gap"], page["cursor"]) == ([], None, id)
        assert ids(await poller.page(f"after={id}&topic=a&wait=0")) == []
        poller.close()


async def test_gap_is_answered_at_once() -> None:
    async with serving() as server:
        poller = Poller(server)
        page = await poller.page("after=5-5&wait=60")
        assert page["gap"]["reason"] == "restart"
        poller.close()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("wait=5", "wait"),
        ("after=&wait=5", "wait"),
        ("after=1-1&wait=61", "wait"),
        ("after=1-1&wait=x", "wait"),
        ("after=1-1&wait=1.5", "wait"),
        ("last_per_topic=1&wait=5", "wait"),
    ],
)
async def test_wait_that_can_not_be_is_refused(query: str, field: str) -> None:
    async with serving() as server:
        poller = Poller(server)
        await poller.ask(query)
        status, _, body = await poller.answer()
        assert (status, body["field"]) == (400, field)
        poller.close()


async def test_too_many_polls_are_told_to_come_back() -> None:
    async with serving(max_polls=2) as server:
        pollers = [Poller(server) for _ in range(3)]
        for number, poller in enumerate(pollers[:2], 1):
            await poller.ask(f"after={server.hub.head}&wait=60")
            await waiting(server, number)
        await pollers[2].ask(f"after={server.hub.head}&wait=60")
        status, fields, body = await pollers[2].answer()
        assert (status, body["code"], fields["retry-after"]) == (503, "busy", "5")
        assert server.hub.polls.refused == 1
        for poller in pollers:
            poller.close()
        await waiting(server, 0)


async def test_polls_of_an_address_count_in_its_limit() -> None:
    async with serving(max_clients_per_address=1) as server:
        one, other = Poller(server), Poller(server)
        await one.ask(f"after={server.hub.head}&wait=60")
        await waiting(server, 1)
        await other.ask(f"after={server.hub.head}&wait=60")
        assert (await other.answer())[0] == 503
        one.close()
        await waiting(server, 0)
        other.close()


@pytest.mark.parametrize("headers", [(), ("Upgrade: x",)], ids=["fast", "tornado"])
async def test_poller_that_leaves_is_forgotten(headers: tuple[str, ...]) -> None:
    async with serving() as server:
        pollers = [Poller(server, *headers) for _ in range(20)]
        for poller in pollers:
            await poller.ask(f"after={server.hub.head}&wait=60")
        await waiting(server, 20)
        for poller in pollers[1:]:
            poller.close()
        await waiting(server, 1)
        (id,) = await publish(server)
        assert ids(await pollers[0].page()) == [id]
        pollers[0].close()
        await eventually(lambda: server._listener.open <= 1)
        assert server._listener.edge.answering == 0


async def test_polls_that_are_answered_together_get_what_each_asked_for() -> None:
    """By HEAD, from a listed origin, on a connection that ends, by the other lane; and one that left."""
    async with serving(cors_origin=("https://a.example",)) as server:
        plain, head, foreign, last, odd, gone = pollers = [
            Poller(server),
            Poller(server, method="HEAD"),
            Poller(server, "Origin: https://a.example"),
            Poller(server, "Connection: close"),
            Poller(server, "Upgrade: x"),
            Poller(server),
        ]
        for poller in pollers:
            await poller.ask(f"after={server.hub.head}&wait=60")
        await waiting(server, 6)
        counts = server._listener.edge.access_log.counts
        before = counts["history", "GET", "200"], sum(counts.values())
        (event,) = await publish(server)
        gone.close()  # woken by now, and not answered yet
        for poller in (plain, foreign, last, odd):
            status, fields, page = await poller.answer()
            assert (status, ids(page)) == (200, [event])
            is_foreign = poller is foreign
            assert ("access-control-allow-origin" in fields) == is_foreign
            assert (fields.get("connection") == "close") == (poller is last)
        assert (await head.head())[0] == 200
        for poller in (plain, head):  # the connection is good for the next one
            await poller.ask(f"after={event}&wait=60")
        await waiting(server, 2)
        (event,) = await publish(server)
        assert ids(await plain.page()) == [event]
        assert (await head.head())[0] == 200
        for poller in pollers:
            poller.close()
        await eventually(lambda: server._listener.edge.answering == 0)
        assert counts["history", "HEAD", "200"] == 2
        assert counts["history", "GET", "200"] - before[0] in (5, 6)  # the one that left, perhaps


async def test_poll_that_fails_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as server:
        pollers = [Poller(server) for _ in range(3)]
        for poller in pollers:
            await poller.ask(f"after={server.hub.head}&wait=60")
        await waiting(server, 3)
        on_written, calls = FastConnection._on_written, []

        def fail_once(connection: FastConnection) -> None:
            calls.append(connection)
            if len(calls) == 1:
                raise RuntimeError("a bug")
            on_written(connection)

        monkeypatch.setattr(FastConnection, "_on_written", fail_once)
        (event,) = await publish(server)
        assert [ids(await poller.page()) for poller in pollers] == [[event]] * 3
        assert len(calls) == 3
        await eventually(lambda: sum(p.is_closed for p in pollers) == 1)
        for poller in pollers:
            poller.close()


async def test_each_poll_that_is_answered_has_its_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tocsin.access")
    async with serving() as server:
        pollers = [Poller(server) for _ in range(10)]
        for poller in pollers:
            await poller.ask(f"after={server.hub.head}&wait=60")
        await waiting(server, 10)
        await publish(server)
        for poller in pollers:
            await poller.page()
            poller.close()

        def lines() -> list[tuple[object, ...]]:
            found = [vars(r) for r in caplog.records if r.name == "tocsin.access"]
            return [(f["path"], f["status"], f["remote"]) for f in found if f["method"] == "GET"]

        await eventually(lambda: len(lines()) == 10)
        assert set(lines()) == {("/api/history", 200, "127.0.0.1")}


async def test_drain_answers_polls_empty() -> None:
    async with serving() as server:
        poller = Poller(server)
        await poller.ask(f"after={server.hub.head}&wait=60")
        await waiting(server, 1)
        stopping = asyncio.ensure_future(server.stop())
        assert ids(await poller.page()) == []
        await stopping
        poller.close()


async def test_thousand_pollers_get_an_event_each_and_come_back() -> None:
    """And a batch, whatever topic each waits for; the loop has its turn in between."""
    async with serving(max_polls=1_000) as server:
        pollers = [Poller(server) for _ in range(1_000)]
        for number, poller in enumerate(pollers):
            topic = f"t/{number}" if number % 2 else "t/*"
            await poller.ask(f"topic={topic}&after={server.hub.head}&wait=60")
        await waiting(server, 1_000)
        receipts = await server.hub.publish(*[Draft("tick", b"{}", f"t/{n}") for n in range(1_000)])
        assert {receipt.recipients for receipt in receipts} == {0}
        all_ids = [str(receipt.id) for receipt in receipts]
        for number, poller in enumerate(pollers):
            expected = [all_ids[number]] if number % 2 else all_ids[:100]
            assert ids(await poller.page()) == expected
            poller.close()
        await waiting(server, 0)
