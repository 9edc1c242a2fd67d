"""`keep_newest`: what stays of some topics when a chatty one pushes all else out, with each journal that can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.accounting import assert_conserved
from tests.hub.hubs import Client, drafts, running_as, settled
from tests.hub.test_recent_events import opening, publish, seq_of
from tests.serving import eventually
from tests.sse import ServerSentEvent
from tocsin import Filter, Hub, Settings
from tocsin.eventlog import kept_newest
from tocsin.eventlog.journal import open_journal
from tocsin.eventlog.recent import Recent

ALERTS = Filter(["alerts/*"])
KEEP = ("alerts/*=2", "state/*=1")

Start: TypeAlias = Callable[..., AbstractAsyncContextManager[Hub]]


@pytest.fixture(params=["memory:", "sqlite:"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """Starts a hub with the newest of some topics kept; again on the same log, where that is in a file."""
    journal = request.param

    @asynccontextmanager
    async def start(**changes: Any) -> AsyncIterator[Hub]:
        options = {"keep_newest": KEEP, "history_events": 20, "drain_timeout": 0.2, **changes}
        if journal == "sqlite:":
            options |= {"journal": f"sqlite:{tmp_path / 'log.db'}", "window_events": 5}
        settings = Settings(**options)
        async with running_as(settings, open_journal(settings)) as hub:
            yield hub

    return start


async def fill(hub: Hub, count: int = 40) -> None:
    """Publish so much on a chatty topic that all before it leaves the history."""
    until = hub.ring.head
    for _ in range(count // 10):
        await hub.publish(*drafts(10, "chatter"))
    await eventually(lambda: hub.kept.floor >= until)


async def some_alerts(hub: Hub) -> None:
    """Events 1 to 6, of which 2, 3, 4 and 6 are kept, and then 40 others."""
    await publish(hub, "alerts/a", "alerts/a", "alerts/b", "state/x", "state/x", "alerts/a,state/x")
    await fill(hub)


def resumed(hub: Hub, seq: int, filter: Filter = ALERTS) -> Client:
    return Client(hub, filter, last_event_id=str(hub.ring.id_at(seq)))


async def told(client: Client) -> tuple[ServerSentEvent, ServerSentEvent | None, list[int]]:
    """The welcome, the gap if there is one, and the seqs of what is replayed."""
    events: list[ServerSentEvent] = []

    def is_whole() -> bool:
        events.extend(client.read())
        got = [event for event in events if event.type not in ("connection", "gap")]
        return bool(events) and len(got) >= (events[0].json["replayed"] or 0)

    await eventually(is_whole)
    gaps = [event for event in events if event.type == "gap"]
    got = [seq_of(event) for event in events if event.type not in ("connection", "gap")]
    return events[0], gaps[0] if gaps else None, got


async def test_client_whose_missed_events_are_all_kept_is_told_of_no_gap(start: Start) -> None:
    async with start() as hub:
        await some_alerts(hub)
        client = resumed(hub, 1)
        welcome, gap, got = await told(client)
        assert gap is None
        assert (welcome.json["replayed"], welcome.last_event_id) == (3, str(hub.ring.id_at(1)))
        assert got == [2, 3, 6]
        await publish(hub, "alerts/new")
        await settled(hub)
        assert client.ids() == [str(hub.head)]
        assert_conserved(hub)


async def test_client_that_lacks_one_that_is_gone_is_told_of_a_true_gap(start: Start) -> None:
    async with start() as hub:
        await some_alerts(hub)
        welcome, gap, got = await told(resumed(hub, 0))
        assert gap
        assert (gap.json["reason"], gap.json["missed"]) == ("evicted", None)
        assert gap.json["oldest"] == str(hub.ring.id_at(2))
        assert got == [2, 3, 6]
        assert welcome.json["replayed"] in (3, None)
        # Its id is just before the first that it gets: cut off now, it comes back there.
        assert welcome.last_event_id == str(hub.ring.id_at(1))


async def test_gap_of_who_reads_everything_counts_what_is_gone(start: Start) -> None:
    async with start() as hub:
        await some_alerts(hub)
        floor, head = hub.kept.floor, hub.ring.head
        welcome, gap, got = await told(resumed(hub, 2, Filter()))
        assert gap
        assert gap.json["missed"] == floor - 2 - len([3, 6])
        assert got == [3, 6, *range(floor + 1, head + 1)]
        assert welcome.json["replayed"] == len(got)
        assert (await told(resumed(hub, 0, Filter(["chatter"]))))[1]
        assert not (await told(resumed(hub, 0, Filter(["nothing/here"]))))[1]


async def test_everything_kept_is_sent_to_who_asks_for_the_earliest(start: Start) -> None:
    async with start() as hub:
        await some_alerts(hub)
        client = Client(hub, last_event_id="earliest")
        _, gap, got = await told(client)
        assert gap is None
        assert got == [2, 3, 6, *range(hub.kept.floor + 1, hub.ring.head + 1)]


async def test_client_of_another_log_gets_all_that_is_kept(start: Start) -> None:
    async with start() as hub:
        await some_alerts(hub)
        client = Client(hub, ALERTS, last_event_id=f"{hub.ring.epoch - 1}-5")
        _, gap, got = await told(client)
        assert gap
        assert gap.json["reason"] == "restart"
        assert got == [2, 3, 6]


@pytest.mark.parametrize(
    ("filter", "recent", "expected"),
    [
        (ALERTS, Recent(per_topic=1), [3, 6]),
        (ALERTS, Recent(per_topic=9), [2, 3, 6]),
        (Filter(["state/x", "alerts/b"]), Recent(per_topic=1), [3, 6]),
        (Filter(["alerts/*"], ["tick"]), Recent(per_topic=1), [3, 6]),
        (ALERTS, Recent(last=2), [3, 6]),
        (ALERTS, Recent(last=100), [2, 3, 6]),
        (ALERTS, Recent(last=1), [6]),
    ],
)
async def test_state_on_connect_has_what_is_kept(
    start: Start, filter: Filter, recent: Recent, expected: list[int]
) -> None:
    async with start() as hub:
        await some_alerts(hub)
        client = Client(hub, filter, recent=recent)
        welcome, got = await opening(client)
        assert got == expected
        assert welcome.json["missed"] == 0
        assert "truncated" not in welcome.json
        await publish(hub, *filter.exact or ("alerts/new",))
        await settled(hub)
        assert len(client.ids()) == max(len(filter.exact), 1)


async def test_newest_over_everything_go_on_below_the_floor(start: Start) -> None:
    async with start() as hub:
        await some_alerts(hub)
        above = [*range(hub.kept.floor + 1, hub.ring.head + 1)]
        for wanted in (len(above), len(above) + 2, 1_000):
            client = Client(hub, recent=Recent(last=wanted))
            assert (await opening(client))[1] == [2, 3, 6, *above][-wanted:]


async def test_newest_of_a_topic_are_wherever_they_are(start: Start) -> None:
    async with start() as hub:
        await some_alerts(hub)
        await publish(hub, "alerts/a")
        client = Client(hub, ALERTS, recent=Recent(per_topic=2))
        assert (await opening(client))[1] == [3, 6, hub.ring.head]


async def test_newer_ones_take_the_place_of_the_kept(start: Start) -> None:
    async with start() as hub:
        await some_alerts(hub)
        await publish(hub, "alerts/a", "alerts/a", "state/x")
        await fill(hub)
        client = resumed(hub, 1)
        _, gap, got = await told(client)
        assert gap
        assert got == [3, 47, 48]
        assert (await told(resumed(hub, 6)))[1:] == (None, [47, 48])


async def test_stream_is_closed_when_what_it_still_has_to_get_is_gone(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start(keep_newest=("alerts/*=3",), keep_newest_bytes=2_000_000) as hub:
        big = b'{"a": "%s"}' % (b"x" * 60_000)
        for number in range(30):
            await hub.publish(*drafts(1, f"alerts/{number}", big))
        await fill(hub)
        streams = []
        for seq, filter in ((0, ALERTS), (0, Filter())):  # told of no gap, and of one
            client = Client(hub, filter, tcp=True, last_event_id=str(hub.ring.id_at(seq)))
            streams.append(client)
        await eventually(lambda: all(c.stream in hub.lagging for c in streams))
        for _ in range(3):
            await hub.publish(*drafts(1, "alerts/29"))
        await fill(hub)
        for _ in range(3):
            await hub.publish(*drafts(1, "alerts/29"))
        await fill(hub)  # 30 is gone, and 31 to 33
        for client in streams:
            assert await closing(client, hub) == "slow"
        assert_conserved(hub)


async def closing(client: Client, hub: Hub) -> str:
    """Read until the hub cuts the stream off; why it did."""
    before = dict(hub.counters.closed)

    def is_closed() -> bool:
        try:
            client.read()
        except ConnectionResetError:
            return True
        return client.stream.number not in hub.streams

    await eventually(is_closed)
    reasons = [reason for reason, count in hub.counters.closed.items() if count > before[reason]]
    return reasons[0] if reasons else "slow"


async def test_stream_that_lags_gets_what_left_the_history_meanwhile_and_is_kept(
    start: Start,
) -> None:
    async with start(keep_newest=("alerts/*=40",)) as hub:
        client = Client(hub, ALERTS, tcp=True)
        await settled(hub)
        for _ in range(40):
            await hub.publish(*drafts(1, "alerts/a", b'{"a": "%s"}' % (b"x" * 50_000)))
        await eventually(lambda: client.stream in hub.lagging)
        await fill(hub)
        got: list[str] = []

        def has_all() -> bool:
            got.extend(client.ids())
            return len(got) == 40

        await eventually(has_all)
        assert got == [str(hub.ring.id_at(seq)) for seq in range(1, 41)]
        assert_conserved(hub)


async def test_what_stays_is_read_in_bounded_steps(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_newest, "SCAN_LIMIT", 2)
    async with start() as hub:
        await some_alerts(hub)
        for filter in (ALERTS, Filter(["alerts/b"]), Filter(["state/*"], ["tick"])):
            _, gap, got = await told(resumed(hub, 1, filter))
            assert (gap is None) == (filter != Filter(["state/*"], ["tick"]))
            assert got == {1: [3], 2: [2, 3, 6]}.get(
                len(filter.exact) + (filter == ALERTS) * 2, [6]
            )


async def test_limit_in_bytes_lets_the_oldest_go_and_says_so(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    async with start(keep_newest=("alerts/*=1",), keep_newest_bytes=65_536) as hub:
        await publish(hub, *[f"alerts/{number}" for number in range(200)])
        await fill(hub)
        newest = hub.kept_newest
        assert newest is not None
        assert 0 < len(newest) < 200
        assert newest.bytes <= 65_536
        assert newest.beyond_bytes == 200 - len(newest)
        oldest = 200 - len(newest) + 1
        assert newest.oldest == oldest
        assert (await told(resumed(hub, oldest - 1)))[1:] == (None, [*range(oldest, 201)])
        _, gap, got = await told(resumed(hub, oldest - 2))
        assert gap
        assert got == [*range(oldest, 201)]
        await eventually(lambda: "keep_newest_bytes is reached" in caplog.text)


async def test_kept_events_outlive_a_restart_where_the_log_does(start: Start) -> None:
    async with start() as hub:
        await some_alerts(hub)
        first = hub.ring.id_at(1)
    await asyncio.sleep(0.002)  # a log in memory has the millisecond of its start as its epoch
    async with start() as hub:
        client = Client(hub, ALERTS, last_event_id=str(first))
        _, gap, got = await told(client)
        is_same_log = hub.ring.epoch == first.epoch
        assert (gap is None) == is_same_log
        assert got == ([2, 3, 6] if is_same_log else [])
        assert is_same_log == (hub.history is not None)
