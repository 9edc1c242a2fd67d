"""Both subscriptions against real hubs, over connections that are cut, silent, refused."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from tests.client.conftest import FLAGS, HEARTBEAT_S
from tests.client.listener import Listen
from tests.conftest import StartFaultProxy, StartHub
from tests.fault_proxy import NONE, Faults
from tests.hub_process import HubProcess, free_ports
from tests.patience import wait_until
from tests.serving import eventually
from tocsin.access.keys import Key, digest_of, new_secret, write_keys
from tocsin.access.rights import Patterns
from tocsin.client import BlockingPublisher, State, Unauthorized, subscribe, subscribe_blocking


def test_events_come_as_they_were_published(hub: HubProcess, topic: str, listen: Listen) -> None:
    listener = listen(hub.url, topics=[topic])
    listener.wait_for_welcomes()
    message = "é \x85 \u2028 \r\n \0 😀"
    id = hub.publish("seen", message, data={"n": 1}, topic=topic)["id"]
    wait_until(lambda: listener.events)
    (event,) = listener.events
    assert (event.type, event.id) == ("seen", id)
    assert (event.json()["message"], event.json()["data"]) == (message, {"n": 1})
    assert listener.welcomes[0]["heartbeat"] == HEARTBEAT_S


def test_filters_and_beginnings_are_asked_for(hub: HubProcess, topic: str, listen: Listen) -> None:
    a1, a2, b = (f"{topic}/{name}" for name in ("a/1", "a/2", "b"))
    ids = [hub.publish(kind, topic=each)["id"] for kind in "xy" for each in (a1, a2, b)]
    every: dict[str, dict[str, Any]] = {
        "topics": {"topics": [f"{topic}/a/*"], "last_event_id": "earliest"},
        "types": {"topics": [f"{topic}/*"], "types": ["x"], "last_event_id": "earliest"},
        "last": {"topics": [f"{topic}/*"], "last": 2},
        "last of each": {"last_per_topic": 1, "topics": [a1, b]},
        "after": {"topics": [f"{topic}/*"], "last_event_id": ids[3]},
    }
    expected = {
        "topics": [ids[0], ids[1], ids[3], ids[4]],
        "types": ids[:3],
        "last": ids[4:],
        "last of each": [ids[3], ids[5]],
        "after": ids[4:],
    }
    listeners = {name: listen(hub.url, **asked) for name, asked in every.items()}
    wait_until(lambda: {n: each.ids for n, each in listeners.items()} == expected)


def test_cut_at_any_byte_of_an_event_loses_nothing(
    hub: HubProcess, topic: str, fault_proxy: StartFaultProxy, listen: Listen
) -> None:
    places = range(1, 330, 13)  # an event has some 160 bytes: in the first, between, in the second

    def cut_first(target: str, number: int) -> Faults:
        place = int(re.findall(r"cut(\d+)", target)[0])
        is_by_reset = bool(place % 2)
        after = Faults(cut_after=place, cut_from=b"event: n", cut_with_reset=is_by_reset)
        return NONE if number else after

    proxy = fault_proxy(hub.port, cut_first)
    listeners = [listen(proxy.url, topics=[topic, f"cut{place}"]) for place in places]
    for listener in listeners:
        listener.wait_for_welcomes()
    with BlockingPublisher(hub.url) as publisher:
        ids = [each.id for each in publisher.publish_batch(["é", "à"], topic=topic)]
        wait_until(lambda: proxy.cuts == len(places), what="a cut of each")
        ids.append(publisher.publish("ç", topic=topic).id)
    wait_until(lambda: all(ids[2] in each.ids for each in listeners), what="the last event")
    assert [each.ids for each in listeners] == [ids] * len(listeners)
    assert all(welcome["missed"] == 0 for each in listeners for welcome in each.welcomes)


def test_gap_is_handed_out_after_a_restart(start_hub: StartHub, listen: Listen) -> None:
    hub = start_hub(*FLAGS)
    listener = listen(hub.url)
    listener.wait_for_welcomes()
    before = hub.publish()["id"]
    wait_until(lambda: listener.ids)
    hub.restart()
    wait_until(lambda: listener.of("gap"))
    after = hub.publish()["id"]
    wait_until(lambda: listener.ids == [before, after])
    (gap,) = listener.of("gap")
    assert (gap["reason"], gap["requested"]) == ("restart", before)
    assert [event.type for event in listener.events] == ["notification", "gap", "notification"]


def test_drain_and_a_full_hub_are_waited_out(start_hub: StartHub, listen: Listen) -> None:
    hub = start_hub(*FLAGS, "--max-clients", "1")
    first = listen(hub.url)
    first.wait_for_welcomes()
    second = listen(hub.url)
    wait_until(lambda: [s for s in second.states if s.name == "waiting"])
    (waits, *_) = [state for state in second.states if state.name == "waiting"]
    assert waits.reason == "the hub is busy (full)"
    assert waits.retry_in_s >= 1
    first.stop()
    second.wait_for_welcomes()
    assert hub.stop() == 0
    wait_until(lambda: "the hub is busy (draining)" in [s.reason for s in second.states])
    hub.restart()
    second.wait_for_welcomes(2)
    id = hub.publish()["id"]
    wait_until(lambda: second.ids == [id])


def test_hub_that_is_not_there_yet_is_waited_for(start_hub: StartHub, listen: Listen) -> None:
    (port,) = free_ports(1)
    listener = listen(f"http://127.0.0.1:{port}/")
    wait_until(lambda: [s for s in listener.states if s.name == "waiting"])
    hub = start_hub(*FLAGS, port=port)
    listener.wait_for_welcomes()
    id = hub.publish()["id"]
    wait_until(lambda: listener.ids == [id])


def test_silent_connection_is_given_up_and_resumed(
    hub: HubProcess, topic: str, fault_proxy: StartFaultProxy, listen: Listen
) -> None:
    proxy = fault_proxy(hub.port)
    listener = listen(proxy.url, topics=[topic], silence_s=2.0)
    listener.wait_for_welcomes()
    proxy.loses_answers = True
    id = hub.publish(topic=topic)["id"]  # lost on the way, and nobody is told
    wait_until(lambda: "the connection is silent" in [s.reason for s in listener.states])
    proxy.loses_answers = False
    wait_until(lambda: listener.ids == [id])
    assert listener.of("gap") == []


async def test_silence_is_judged_by_the_hubs_own_heartbeat(
    hub: HubProcess, topic: str, fault_proxy: StartFaultProxy
) -> None:
    proxy = fault_proxy(hub.port)
    states: list[State] = []
    async with subscribe(proxy.url, topics=[topic], on_state=states.append) as events:
        reading = asyncio.ensure_future(anext(events))
        await eventually(lambda: [state for state in states if state.name == "open"])
        proxy.loses_answers = True
        await eventually(lambda: "the connection is silent" in [state.reason for state in states])
        proxy.loses_answers = False
        hub.publish(topic=topic)
        await reading


def test_heartbeats_are_no_events_and_keep_a_stream(
    hub: HubProcess, topic: str, listen: Listen
) -> None:
    listener = listen(hub.url, topics=[topic])
    listener.wait_for_welcomes()
    before = hub.metric("tocsin_heartbeats_total")
    wait_until(lambda: hub.metric("tocsin_heartbeats_total") >= before + 5)
    id = hub.publish(topic=topic)["id"]
    wait_until(lambda: listener.events)
    assert (listener.ids, len(listener.welcomes)) == ([id], 1)


def test_presence_comes_to_who_asks(hub: HubProcess, topic: str, listen: Listen) -> None:
    listener = listen(hub.url, topics=[topic], presence=True)
    listener.wait_for_welcomes()
    listen(hub.url, topics=[topic]).wait_for_welcomes()
    wait_until(lambda: listener.of("presence"))
    assert listener.of("presence")[-1]["clients"] >= 2


def test_loop_ends_when_the_topics_have_ended(hub: HubProcess, topic: str, listen: Listen) -> None:
    jobs = [f"{topic}/1", f"{topic}/2"]
    listener = listen(hub.url, topics=jobs)
    listener.wait_for_welcomes()
    with BlockingPublisher(hub.url) as publisher:
        ids = [publisher.publish("done", topic=job, final=True).id for job in jobs]
    listener.wait_for_end()
    assert [event.type for event in listener.events] == ["notification", "end"] * 2
    assert [end["topic"] for end in listener.of("end")] == jobs
    assert (listener.ids, listener.error) == (ids, None)
    late = listen(hub.url, topics=jobs[1:], last_event_id=ids[0])
    late.wait_for_end()
    assert late.ids == ids[1:]


def hub_with_keys(start_hub: StartHub, folder: Path) -> tuple[HubProcess, list[str]]:
    """A hub, and the secrets of two keys that may read."""
    secrets = [new_secret(), new_secret()]
    readers = {
        f"reader-{n}": Key(
            name=f"reader-{n}",
            digests=(digest_of(secret),),
            publish=Patterns.parse((), "publish"),
            subscribe=Patterns.parse(("*",), "subscribe"),
            end=Patterns.parse((), "end"),
            is_admin=False,
            expires_at=float("inf"),
        )
        for n, secret in enumerate(secrets)
    }
    write_keys(str(folder / "keys.toml"), readers)
    return start_hub(*FLAGS, "--keys", str(folder / "keys.toml")), secrets


def test_token_is_shown_and_a_wrong_one_is_an_error_without_it(
    start_hub: StartHub, listen: Listen, tmp_path: Path
) -> None:
    hub, (secret, _) = hub_with_keys(start_hub, tmp_path)
    listen(hub.url, token=secret).wait_for_welcomes()
    refused = listen(hub.url, token="wrong-secret")
    refused.wait_for_end()
    assert isinstance(refused.error, Unauthorized)
    assert (refused.error.status, refused.error.code) == (401, "unauthorized")
    assert "wrong-secret" not in str(refused.error)
    nobody = listen(hub.url)
    nobody.wait_for_end()
    assert isinstance(nobody.error, Unauthorized)
    odd = listen(hub.url, token="two\r\nlines")
    odd.wait_for_end()
    assert isinstance(odd.error, ValueError)
    assert "two" not in str(odd.error)


async def test_coroutine_may_be_asked_for_a_token(start_hub: StartHub, tmp_path: Path) -> None:
    hub, (secret, _) = hub_with_keys(start_hub, tmp_path)

    async def token() -> str:
        await asyncio.sleep(0)
        return secret

    states: list[State] = []
    async with subscribe(hub.url, token=token, on_state=states.append) as events:
        reading = asyncio.ensure_future(anext(events))
        await eventually(lambda: "open" in [state.name for state in states])
        reading.cancel()
        await asyncio.wait([reading])


async def test_leaving_the_block_closes_the_connection(hub: HubProcess, topic: str) -> None:
    hub.publish(topic=topic)
    async with subscribe(hub.url, topics=[topic], last=1) as events:
        await anext(events)
        assert hub.publish(topic=topic)["sentTo"] == 1
    await eventually(lambda: hub.publish(topic=topic)["sentTo"] == 0)
    with subscribe_blocking(hub.url, topics=[topic], last=1) as blocking:
        next(blocking)
        assert hub.publish(topic=topic)["sentTo"] == 1
    await eventually(lambda: hub.publish(topic=topic)["sentTo"] == 0)


def test_stop_from_elsewhere_ends_a_wait_for_events(
    hub: HubProcess, topic: str, listen: Listen
) -> None:
    listener = listen(hub.url, topics=[topic])
    listener.wait_for_welcomes()
    listener.stop()
    assert listener.states[-1].name == "ended"
    wait_until(lambda: hub.publish(topic=topic)["sentTo"] == 0)


def test_stop_ends_the_wait_for_the_next_attempt(listen: Listen) -> None:
    (port,) = free_ports(1)
    listener = listen(f"http://127.0.0.1:{port}")
    wait_until(lambda: listener.states and listener.states[-1].name == "waiting")
    listener.stop()


def test_closed_within_the_loop_gives_no_further_event(hub: HubProcess, topic: str) -> None:
    for _ in range(3):
        hub.publish(topic=topic)
    seen = []
    subscription = subscribe_blocking(hub.url, topics=[topic], last=3)
    for event in subscription:
        seen.append(event)
        subscription.close()
    assert len(seen) == 1
    assert subscription.last_event_id == seen[0].id


def test_resume_over_many_cuts_while_events_come(
    hub: HubProcess, topic: str, fault_proxy: StartFaultProxy, listen: Listen
) -> None:
    proxy = fault_proxy(
        hub.port, lambda target, number: Faults(cut_after=20_000) if number < 2 else NONE
    )
    listener = listen(proxy.url, topics=[topic])
    listener.wait_for_welcomes()
    ids: list[str] = []
    with BlockingPublisher(hub.url) as publisher:
        while proxy.cuts < 2:
            batch = publisher.publish_batch([f"é {n}" for n in range(20)], topic=topic)
            ids += [receipt.id for receipt in batch]
            wait_until(lambda last=ids[-1]: last in listener.ids)  # type: ignore[misc]
    assert listener.ids == ids
    assert listener.of("gap") == []
