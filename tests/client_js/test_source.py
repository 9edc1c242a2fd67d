"""The client against a real hub, in Node; in Deno and Bun by `make soak`."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.access.keys import KeyFile
from tests.client_js.conftest import OpenSource
from tests.conftest import StartFaultProxy, StartHub
from tests.fault_proxy import NONE, Faults
from tests.patience import wait_until
from tests.proxy_process import DefaultNginx
from tests.scripted_hub import Answer, Script, ScriptedHub, note, on_stream, welcome

ScriptHub = Callable[[Script], ScriptedHub]

RUNTIMES = ["node", *(pytest.param(name, marks=pytest.mark.soak) for name in ("deno", "bun"))]
FLAGS = ("--retry", "1000")
EVENT = {"type": "notification", "message": "published by the client"}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_source_reads_publishes_resumes_and_lets_its_process_end(
    start_hub: StartHub, fault_proxy: StartFaultProxy, open_source: OpenSource, runtime: str
) -> None:
    hub = start_hub(*FLAGS)
    proxy = fault_proxy(hub.port)
    source = open_source(proxy.url + "/events", runtime)
    source.wait_phase("live")
    source.say(publish=EVENT)
    wait_until(lambda: source.said("published") and source.ids(), what="the event")
    (published,) = source.said("published")
    assert source.ids() == [published["answer"]["id"]]
    proxy.cut()
    wait_until(lambda: source.said("error"), what="the cut is told")
    missed = hub.publish(message="while it was away")["id"]
    wait_until(lambda: source.ids()[-1] == missed, what="the missed event")
    assert source.messages() == [EVENT["message"], "while it was away"]
    assert [line["readyState"] for line in source.said("open")] == [1, 1]
    waiting = next(line for line in source.said("state") if line["phase"] == "waiting")
    assert waiting["cause"] == {"code": "network"}
    assert 1_000 <= waiting["retryAt"] - waiting["since"] <= 30_000
    source.say(close=True)
    assert source.wait_end() == 0
    assert source.said("closed")[0]["readyState"] == 2


def test_source_has_event_sources_members(start_hub: StartHub, open_source: OpenSource) -> None:
    hub = start_hub(*FLAGS)
    source = open_source(hub.url + "/events", types=["notification"])
    source.wait_phase("live")
    hub.publish(type="alert")
    id = hub.publish()["id"]
    wait_until(lambda: source.ids(), what="the event")
    (event,) = source.events("notification")
    assert (event["lastEventId"], event["origin"]) == (id, hub.url)
    assert json.loads(event["data"])["message"] == "bonjour"
    assert not source.events("alert")
    (welcome,) = source.events("connection")
    assert welcome["lastEventId"].endswith("-0")
    assert (source.state["shared"], source.state["unshared"]) == (False, "unsupported")


def test_source_asks_for_topics_and_for_the_state_of_each(
    start_hub: StartHub, open_source: OpenSource
) -> None:
    hub = start_hub(*FLAGS)
    for topic, message in [("u/1", "a"), ("u/2", "b"), ("u/1", "c"), ("v", "d")]:
        hub.publish(topic=topic, message=message)
    per_topic = open_source(hub.url + "/events", topics=["u/*"], lastPerTopic=1)
    newest = open_source(hub.url + "/events", last=3)
    earliest = open_source(hub.url + "/events", lastEventId="earliest")
    wait_until(lambda: len(per_topic.ids()) == 2 and len(newest.ids()) == 3, what="the state")
    assert (per_topic.messages(), newest.messages()) == (["b", "c"], ["b", "c", "d"])
    wait_until(lambda: len(earliest.ids()) == 4, what="all")


def test_gap_is_an_event(start_hub: StartHub, open_source: OpenSource) -> None:
    hub = start_hub(*FLAGS)
    source = open_source(hub.url + "/events")
    source.wait_phase("live")
    before = hub.publish()["id"]
    wait_until(lambda: source.ids() == [before])
    hub.restart()
    wait_until(lambda: source.events("gap"), what="the gap")
    (gap,) = source.events("gap")
    assert json.loads(gap["data"])["requested"] == before


def test_publish_is_tried_again_under_one_key_and_published_once(
    start_hub: StartHub, fault_proxy: StartFaultProxy, open_source: OpenSource
) -> None:
    hub = start_hub(*FLAGS)

    def lose_the_first_answer(target: str, number: int) -> Faults:
        lost = Faults(cut_after=0, cut_from=b"HTTP/1.1 200")
        return lost if target == "/api/notify" and number == 0 else NONE

    proxy = fault_proxy(hub.port, lose_the_first_answer)
    source = open_source(proxy.url + "/events")
    source.wait_phase("live")
    source.say(publish=EVENT)
    wait_until(lambda: source.said("published"), what="the answer")
    (published,) = source.said("published")
    assert published["answer"]["duplicate"] is True
    wait_until(lambda: source.ids() == [published["answer"]["id"]])
    assert hub.get("/api/stats")["published"] == 1


def test_publish_that_the_hub_refuses_fails_at_once_with_its_words(
    start_hub: StartHub, open_source: OpenSource
) -> None:
    source = open_source(start_hub().url + "/events")
    source.wait_phase("live")
    source.say(publish={"type": "notification"})
    wait_until(lambda: source.said("failed"), what="the refusal")
    (failed,) = source.said("failed")
    assert (failed["name"], failed["status"]) == ("PublishError", 400)
    assert "message" in failed["message"]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_source_polls_where_streams_are_held_back(
    script_hub: ScriptHub, open_source: OpenSource, runtime: str
) -> None:
    hub = script_hub(on_stream(Answer(welcome(heartbeat_s=0.5), hold=True)))
    source = open_source(hub.url + "/events", runtime)
    wait_until(lambda: source.state.get("transport") == "poll", what="polls")
    source.wait_phase("live")
    for _ in range(3):
        source.say(publish=EVENT)
    wait_until(lambda: len(source.ids()) == 3, what="events")
    answers = [line["answer"]["id"] for line in source.said("published")]
    assert sorted(source.ids()) == sorted(answers)
    assert source.said("open")
    source.say(close=True)
    assert source.wait_end() == 0


@pytest.mark.soak
def test_source_polls_behind_an_nginx_that_buffers(
    start_hub: StartHub, open_source: OpenSource
) -> None:
    hub = start_hub("--heartbeat", "1")
    with closing(DefaultNginx(hub.port, "proxy_ignore_headers X-Accel-Buffering;")) as nginx:
        source = open_source(nginx.url + "/events")
        wait_until(lambda: source.state.get("transport") == "poll", what="polls")
        source.wait_phase("live")
        ids = [hub.publish()["id"] for _ in range(20)]
        wait_until(lambda: source.ids() == ids, what="all events")
        hub.restart()
        wait_until(lambda: source.events("gap"), what="the gap")
        after = hub.publish()["id"]
        wait_until(lambda: source.ids() == [*ids, after], what="the event after the restart")


def test_source_stops_where_all_it_asked_for_has_ended(
    script_hub: ScriptHub, open_source: OpenSource
) -> None:
    end = b'event: end\ndata: {"topic": "job/1", "id": "5-1"}\n\n'
    hub = script_hub(on_stream(Answer(welcome() + note("5-1") + end)))
    source = open_source(hub.url + "/events", topics=["job/1"])
    source.wait_phase("stopped")
    assert source.state["cause"] == {"code": "dismissed"}
    assert source.ids() == ["5-1"]
    assert json.loads(source.events("end")[0]["data"]) == {"topic": "job/1", "id": "5-1"}
    wait_until(lambda: source.said("error"), what="the end is told")
    assert source.said("error")[-1]["readyState"] == 2
    assert len(hub.requests) == 1


def test_source_of_a_topic_that_ends_stops_and_is_told_again_that_it_has_all(
    start_hub: StartHub, open_source: OpenSource
) -> None:
    hub = start_hub(*FLAGS)
    live = open_source(hub.url + "/events", topics=["job/1"])
    live.wait_phase("live")
    final = hub.publish(topic="job/1", final=True)["id"]
    live.wait_phase("stopped")
    assert live.ids() == [final]
    assert json.loads(live.events("end")[0]["data"]) == {"topic": "job/1", "id": final}
    later = open_source(hub.url + "/events", topics=["job/1"], lastEventId=final)
    later.wait_phase("stopped")
    assert (later.ids(), later.events("end")) == ([], [])
    late = open_source(hub.url + "/events", topics=["job/1"], last=10)
    late.wait_phase("stopped")
    assert (late.ids(), len(late.events("end"))) == ([final], 1)
    for source in (live, later, late):
        assert source.state["cause"] == {"code": "dismissed"}


def test_source_that_polls_stops_at_the_end_of_its_topic(
    script_hub: ScriptHub, open_source: OpenSource
) -> None:
    hub = script_hub(on_stream(Answer(welcome(heartbeat_s=0.5), hold=True)))
    source = open_source(hub.url + "/events", topics=["job/1"])
    wait_until(lambda: source.state.get("transport") == "poll", what="polls")
    source.wait_phase("live")
    source.say(publish={**EVENT, "topic": "job/1", "final": True})
    source.wait_phase("stopped")
    assert len(source.ids()) == len(source.events("end")) == 1


def test_204_stops_a_source(script_hub: ScriptHub, open_source: OpenSource) -> None:
    hub = script_hub(on_stream(Answer(status=204, content_type=None)))
    source = open_source(hub.url + "/events", lastEventId="5-1")
    source.wait_phase("stopped")
    assert (source.state["cause"], hub.requests) == ({"code": "dismissed"}, ["5-1"])


def test_source_reads_any_other_server(script_hub: ScriptHub, open_source: OpenSource) -> None:
    body = (
        "retry: 1000\n\nid: a é\ndata: one\n\nid: a é\ndata: two\n\nevent: alert\ndata: three\n\n"
    )
    hub = script_hub(on_stream(Answer(body.encode()), Answer(b"data: four\n\n", hold=True)))
    source = open_source(hub.url + "/events")
    wait_until(lambda: len(source.events("message", "alert")) == 4, what="all events")
    seen = [(each["data"], each["lastEventId"]) for each in source.events("message", "alert")]
    assert seen == [("one", "a é"), ("two", "a é"), ("three", "a é"), ("four", "a é")]
    assert hub.requests == [None, "a é".encode().decode("latin-1")]
    source.wait_phase("live")


def test_token_is_asked_for_before_each_request(
    tmp_path: Path, start_hub: StartHub, open_source: OpenSource
) -> None:
    keys = KeyFile(tmp_path)
    keys.add("shop", publish=["*"], subscribe=["*"])
    hub = start_hub(*FLAGS, "--keys", keys.path)
    source = open_source(hub.url + "/events", tokens=["of-yesterday", keys.secrets["shop"]])
    source.wait_phase("live")
    refused = next(line for line in source.said("state") if line["phase"] == "waiting")
    assert (refused["cause"]["code"], refused["cause"]["status"]) == ("http", 401)
    source.say(publish=EVENT)
    wait_until(lambda: source.ids(), what="the event")
    assert source.state["unshared"] == "credentials"


def test_ticket_goes_in_the_address(
    tmp_path: Path, start_hub: StartHub, open_source: OpenSource
) -> None:
    keys = KeyFile(tmp_path)
    header = keys.add("page", publish=["*"], subscribe=["*"]).partition(": ")
    hub = start_hub(*FLAGS, "--keys", keys.path)
    request = urllib.request.Request(f"{hub.url}/api/ticket", b"", {header[0]: header[2]})
    with urllib.request.urlopen(request) as response:
        ticket = json.load(response)["ticket"]
    source = open_source(hub.url + "/events", tokens=[{"ticket": ticket}])
    source.wait_phase("live")


def test_source_whose_token_cannot_be_had_says_so_and_tries_again(
    start_hub: StartHub, open_source: OpenSource
) -> None:
    source = open_source(start_hub().url + "/events", tokens=["fails", "none"])
    source.wait_phase("waiting")
    assert source.state["cause"] == {"code": "token"}
    source.wait_phase("live")
