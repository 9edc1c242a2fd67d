"""A pass that fails, which only a bug can make it do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from tests.serving import StreamClient, eventually, publish, serving
from tocsin.hub import fan_out
from tocsin.hub.group import Mark
from tocsin.hub.stream import Stream, deliver_all


async def test_streams_of_a_pass_that_failed_resume_and_all_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def deliver_half(
        streams: Iterable[Stream], payload: bytes, base: Mark, mark: Mark, times: Sequence[float]
    ) -> int:
        monkeypatch.setattr(fan_out, "deliver_all", deliver_all)
        half = tuple(streams)[:2]
        deliver_all(half, payload, base, mark, times)
        raise RuntimeError("a bug")

    async with serving() as server:
        clients = [await StreamClient.open(server, "?topic=a") for _ in range(4)]
        other = await StreamClient.open(server, "?topic=b")
        welcomes = [await client.next() for client in clients]
        await other.next()
        monkeypatch.setattr(fan_out, "deliver_all", deliver_half)
        (id,) = await publish(server, topic="a")
        await eventually(lambda: server.hub.counters.closed["error"] == 4)
        assert "a pass failed" in caplog.text
        resumed = await StreamClient.open(
            server, "?topic=a", Last_Event_ID=welcomes[3].last_event_id
        )
        assert [event.last_event_id for event in await resumed.take(2)][1] == id
        for topic, client in (("a", resumed), ("b", other)):
            (id,) = await publish(server, topic=topic)
            assert (await client.next()).last_event_id == id
