"""Nothing is lost that the hub still has, nothing comes twice, and what is lost is told where it was."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.browser.conftest import NewPage, Watch
from tests.browser.listener import Listener
from tests.browser.publisher import Publisher
from tests.conftest import StartFaultProxy, StartHub
from tests.patience import wait_until
from tests.scripted_hub import Answer, Script, ScriptedHub, note, on_stream, welcome

Id = tuple[int, int]


def parse(id: str) -> Id:
    epoch, seq = id.split("-")
    return int(epoch), int(seq)


def open_listeners(new_page: NewPage, url: str) -> list[Listener]:
    """Two tabs that share a worker, and one of a browser that has none."""
    first = Listener(new_page(), url)
    alone = new_page()
    alone.add_init_script("delete globalThis.SharedWorker")
    listeners = [first, Listener(new_page(beside=first.page), url), Listener(alone, url)]
    for listener in listeners:
        listener.wait_phase("live")
    assert [each.get("state")["shared"] for each in listeners] == [True, True, False]
    return listeners


def check_log(listener: Listener, acknowledged: list[str], living_epoch: int) -> None:
    """Its events are the log's: in order, once, without a hole but where the hub lost them."""
    ids = [parse(id) for id in listener.ids()]
    for before, after in pairwise(ids):
        if before[0] == after[0]:
            assert after[1] == before[1] + 1, "a hole, or an event twice"
        else:
            assert after[0] > before[0]
            assert after[1] == 1, "the new log is read from its first event"
    received = set(ids)
    living = [id for id in map(parse, acknowledged) if id[0] == living_epoch]
    assert living, "the load went on to the end"
    assert received.issuperset(living), "missing, though the hub has it"


def wait_until_complete(listeners: list[Listener], acknowledged: list[str]) -> None:
    for listener in listeners:
        listener.wait_for(acknowledged[-1])


@pytest.mark.parametrize("restarts", [3, pytest.param(20, marks=pytest.mark.soak)])
def test_killed_hubs_lose_nothing_that_they_still_have(
    start_hub: StartHub, new_page: NewPage, watch: Watch, restarts: int
) -> None:
    watch.allow_lost_hub()
    hub = start_hub("--retry", "1000")
    listeners = open_listeners(new_page, hub.url)
    with Publisher(hub.port) as publisher:
        for _ in range(restarts):
            seen = [listener.count() for listener in listeners]
            wait_until(lambda: grown(listeners, seen, 200), what="events after a restart")  # noqa: B023
            hub.restart()
            for listener in listeners:
                listener.call("connect")  # as a reader would who presses "retry now"
        seen = [listener.count() for listener in listeners]
        wait_until(lambda: grown(listeners, seen, 200), what="events after the last restart")
    wait_until_complete(listeners, publisher.acknowledged)
    living_epoch = parse(publisher.acknowledged[-1])[0]
    for listener in listeners:
        check_log(listener, publisher.acknowledged, living_epoch)
        gaps = listener.data("gap")
        assert [gap["reason"] for gap in gaps] == ["restart"] * restarts
        assert gap_places(listener) == restarts, "each gap stands between two logs"


def grown(listeners: list[Listener], seen: list[int], by: int) -> bool:
    return all(
        listener.count() >= before + by for listener, before in zip(listeners, seen, strict=True)
    )


def gap_places(listener: Listener) -> int:
    """How many gaps stand between the last event of one log and the first of the next."""
    count: int = listener.page.evaluate("""() => {
      const epoch = ({ id }) => id.split("-")[0];
      const shown = record.events.filter((e) => e.type === "gap" || (e.ownId && e.type !== "connection"));
      return shown.filter((event, at) => event.type === "gap" && at > 0 && at < shown.length - 1
        && epoch(shown[at - 1]) !== epoch(shown[at + 1])).length;
    }""")
    return count


@pytest.mark.parametrize("cuts", [4, pytest.param(20, marks=pytest.mark.soak)])
def test_cut_connections_lose_nothing(
    start_hub: StartHub,
    new_page: NewPage,
    watch: Watch,
    fault_proxy: StartFaultProxy,
    cuts: int,
) -> None:
    watch.allow_lost_hub()
    hub = start_hub("--retry", "1000")
    network = fault_proxy(hub.port)
    listeners = open_listeners(new_page, network.url)
    with Publisher(hub.port) as publisher:
        for _ in range(cuts):
            seen = [listener.count() for listener in listeners]
            wait_until(lambda: grown(listeners, seen, 200), what="events after a cut")  # noqa: B023
            network.cut()
            for listener in listeners:
                listener.wait_phase("waiting")
            for listener in listeners:
                listener.call("connect")
    wait_until_complete(listeners, publisher.acknowledged)
    for listener in listeners:
        assert listener.ids() == publisher.acknowledged
        assert listener.data("gap") == []
        assert listener.get("dropped") == 0


def test_gap_that_was_cut_off_is_asked_for_again(
    script_hub: Callable[[Script], ScriptedHub], new_page: NewPage, watch: Watch
) -> None:
    watch.allow_lost_hub()
    late = welcome("5-90", resumed=True, missed=None)
    gap = b'event: gap\ndata: {"reason": "evicted", "missed": 89}\n\n'
    hub = script_hub(
        on_stream(
            Answer(welcome() + note("5-1")),
            Answer(late),  # and the stream is cut before its gap
            Answer(late + gap + note("5-91"), hold=True),
        )
    )
    tab = Listener(new_page(), hub.url)
    tab.wait_for("5-91")
    assert hub.requests == [None, "5-1", "5-1"]
    assert len(tab.data("gap")) == 1


def test_reload_brings_back_what_was_shown_and_then_what_was_missed(
    start_hub: StartHub, new_page: NewPage
) -> None:
    hub = start_hub()
    tab = Listener(new_page(), hub.url)
    tab.wait_phase("live")
    shown = [hub.publish()["id"] for _ in range(30)]
    tab.wait_for(*shown)
    tab.page.goto(hub.url + "/healthz")  # the last tab leaves, and the worker with it
    missed = [hub.publish()["id"] for _ in range(5)]
    tab.page.goto(hub.url + "/listener")
    tab.record()
    tab.wait_for(*missed)
    assert tab.ids() == shown + missed
    assert tab.ids("news") == missed
    assert tab.get("totals")["received"] == 35
    assert tab.data("gap") == []


def test_reload_in_a_live_worker_announces_nothing_twice(
    start_hub: StartHub, new_page: NewPage
) -> None:
    hub = start_hub()
    first = Listener(new_page(), hub.url)
    second = Listener(new_page(beside=first.page), hub.url)
    second.wait_phase("live")
    shown = [hub.publish()["id"] for _ in range(10)]
    second.wait_for(*shown)
    second.reload()
    later = hub.publish()["id"]
    second.wait_for(*shown, later)
    assert second.ids() == [*shown, later]
    assert second.ids("news") == [later]
    assert len(second.data("connection")) == 1, "the stream went on"


def test_reload_after_the_history_moved_on_tells_no_false_gap(
    start_hub: StartHub, new_page: NewPage
) -> None:
    hub = start_hub("--history-events", "10")
    tab = Listener(new_page(), hub.url)
    tab.wait_phase("live")
    shown = [hub.publish()["id"] for _ in range(30)]
    tab.wait_for(*shown)
    tab.reload()
    tab.wait_for(*shown[-10:])
    assert tab.ids() == shown[-10:]
    assert tab.data("gap", "news") == [], "what is gone was shown before: no news"
    missed = [hub.publish()["id"] for _ in range(3)]
    tab.wait_for(*missed)
    assert tab.ids("news") == missed


def test_second_tab_gets_what_the_first_has_as_history(
    start_hub: StartHub, new_page: NewPage
) -> None:
    hub = start_hub()
    first = Listener(new_page(), hub.url)
    first.wait_phase("live")
    ids = [hub.publish()["id"] for _ in range(10)]
    first.wait_for(*ids)
    second = Listener(new_page(beside=first.page), hub.url)
    second.wait_for(*ids)
    assert second.ids() == ids
    assert second.ids("news") == []
    assert second.get("events[0].client") == 1
    later = hub.publish()["id"]
    second.wait_for(later)
    assert second.ids("news") == [later]


def test_process_of_the_worker_dies_under_load_and_no_tab_loses_an_event(
    start_hub: StartHub, new_page: NewPage
) -> None:
    hub = start_hub("--retry", "1000")
    tabs = [Listener(new_page(), hub.url)]
    tabs += [Listener(new_page(beside=tabs[0].page), hub.url) for _ in range(3)]
    for tab in tabs:
        tab.wait_phase("live")
    with Publisher(hub.port) as publisher:
        while len(tabs) > 1:
            seen = [tab.count() for tab in tabs]
            wait_until(lambda: grown(tabs, seen, 200), what="events")  # noqa: B023
            tabs.pop(0).crash()
    wait_until_complete(tabs, publisher.acknowledged)
    assert tabs[0].ids() == publisher.acknowledged
    assert tabs[0].data("gap") == []
