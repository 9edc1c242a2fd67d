"""Anything that can POST publishes: texts, CloudEvents, and what services send to a webhook."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartHub
from tests.patience import wait_until
from tests.raw import Answer, exchange, notice
from tocsin import Settings, SettingsError
from tocsin.app import Server


def post_to(port: int, path: str, body: bytes, *headers: str, type: str = "") -> Answer:
    fields = ["Host: localhost", f"Content-Length: {len(body)}", *headers]
    fields += [f"Content-Type: {type}"] if type else []
    lines = "".join(f"{field}\r\n" for field in fields)
    return exchange(port, f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)


FORM = "application/x-www-form-urlencoded"
CLOUD_EVENT = "application/cloudevents+json"


def newest(hub: Any) -> dict[str, Any]:
    event: dict[str, Any] = hub.get("/api/history?limit=1")["events"][0]
    return event


def test_text_is_published_on_the_topic_of_the_path(start_hub: StartHub) -> None:
    hub = start_hub()
    answer = post_to(hub.port, "/api/topics/ops/disks", "Plein à 93 %\n".encode(), type=FORM)
    assert (answer.status, answer.json["event"], answer.json["topic"]) == (
        200,
        "notification",
        "ops/disks",
    )
    event = newest(hub)
    assert (event["topic"], event["data"]["message"]) == ("ops/disks", "Plein à 93 %")
    post_to(hub.port, "/api/topics/ops%2Fdisks?type=alert", b"x")
    assert (newest(hub)["topic"], newest(hub)["type"]) == ("ops/disks", "alert")
    post_to(hub.port, "/api/topics/a", notice(type="t"), type="application/json")
    assert (newest(hub)["topic"], newest(hub)["type"]) == ("a", "t")
    post_to(hub.port, "/api/topics/a?type=u", b'{"message": "m"}', type="application/json")
    assert (newest(hub)["topic"], newest(hub)["type"]) == ("a", "u")
    once = [
        post_to(hub.port, "/api/topics/a", b"once", "Idempotency-Key: k").json for _ in range(2)
    ]
    assert once[0]["id"] == once[1]["id"]


@pytest.mark.parametrize(
    ("path", "body", "type", "status", "field"),
    [
        ("/api/topics/", b"x", FORM, 422, "topic"),
        ("/api/topics/a%20b", b"x", FORM, 422, "topic"),
        ("/api/topics/%FF", b"x", FORM, 422, "topic"),
        ("/api/topics/tocsin/canary", b"x", FORM, 422, "topic"),
        ("/api/topics/" + "a" * 257, b"x", FORM, 422, "topic"),
        ("/api/topics/a", b"", FORM, 400, "message"),
        ("/api/topics/a", b"\r\n", FORM, 400, "message"),
        ("/api/topics/a", b"\xff", FORM, 400, None),
        ("/api/topics/a?type=gap", b"x", FORM, 422, "type"),
        ("/api/topics/a?typ=x", b"x", FORM, 400, "typ"),
        ("/api/topics/a", b"x" * 70_000, FORM, 413, None),
        ("/api/topics/a", b"x", "text/plain; charset=latin-1", 415, None),
        ("/api/topics/a", b"x", "multipart/form-data; boundary=x", 415, None),
        ("/api/topics/a", notice(), "application/x-ndjson", 415, None),
        ("/api/topics/a", notice(topic="b"), "application/json", 422, "topic"),
        ("/api/topics/a", b"[" + notice() + b"]", "application/json", 422, None),
        ("/api/topics/a", b"{}", CLOUD_EVENT, 400, "specversion"),
        ("/api/notify", b"{}", CLOUD_EVENT, 400, "specversion"),
        ("/api/hooks/none", b"{}", "application/json", 404, None),
        ("/api/hooks/grafana", b"no JSON", "application/json", 400, None),
    ],
)
def test_bad_input_is_refused_and_nothing_published(
    start_hub: StartHub, path: str, body: bytes, type: str, status: int, field: str | None
) -> None:
    hub = start_hub()
    answer = post_to(hub.port, path, body, type=type)
    assert (answer.status, answer.json.get("field")) == (status, field), answer.body
    assert hub.get("/api/history")["events"] == []


def test_page_of_another_origin_may_not_send_a_text(start_hub: StartHub) -> None:
    hub = start_hub()
    for path in ("/api/topics/a", "/api/hooks/grafana"):
        for header in ("Origin: https://evil.example", "Sec-Fetch-Site: cross-site"):
            answer = post_to(hub.port, path, b"{}", header, type="text/plain")
            assert (answer.status, answer.json["code"]) == (403, "foreign_origin")
    assert hub.get("/api/history")["events"] == []


def test_only_post_is_possible(start_hub: StartHub) -> None:
    hub = start_hub()
    answer = exchange(hub.port, b"GET /api/topics/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")


def test_cloud_event_that_comes_again_is_published_once(start_hub: StartHub) -> None:
    hub = start_hub()
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "a.b", "data": {"n": 1}}
    body = json.dumps(event).encode()
    first = post_to(hub.port, "/api/topics/a", body, type=CLOUD_EVENT).json
    again = post_to(hub.port, "/api/topics/a", body, type=CLOUD_EVENT + "; charset=utf-8").json
    assert (again["id"], again["duplicate"]) == (first["id"], True)
    headers = [f"ce-{name}: {event[name]}" for name in ("specversion", "id", "source", "type")]
    other = post_to(hub.port, "/api/notify?topic=a", b"text", *headers, type="text/plain")
    assert (other.status, other.json["code"]) == (409, "key_reused")
    headers[1] = "ce-id: 2"
    other = post_to(hub.port, "/api/notify?topic=b", b"text", *headers, type="text/plain")
    assert (other.status, other.json["topic"]) == (200, "b")
    data = newest(hub)["data"]
    assert (data["message"], data["data"]["id"]) == ("text", "2")
    foreign = post_to(hub.port, "/api/notify", b"x", *headers, "Origin: https://evil.example")
    assert foreign.status == 403


def test_hook_of_a_file_is_added_and_counted_where_it_falls_back(
    start_hub: StartHub, tmp_path: Path
) -> None:
    path = tmp_path / "hooks.toml"
    path.write_text(
        '[ci]\ntype={fallback="build"}\ntopic={pointers=["/repo"], prefix="ci/", fallback="x"}\n'
        'message={pointers=["/text"], fallback="a build"}\n'
    )
    hub = start_hub("--hooks", str(path), "--log-level", "warning")
    answer = post_to(hub.port, "/api/hooks/ci", b'{"repo": "tocsin", "text": "ok"}')
    assert (answer.status, answer.json["events"]) == (200, 1)
    assert (newest(hub)["topic"], newest(hub)["type"]) == ("ci/tocsin", "build")
    post_to(hub.port, "/api/hooks/ci", b'{"repo": "tocsin"}', type="text/whatever")
    assert hub.metric('tocsin_hook_fallbacks_total{field="message"}') == 1
    wait_until(lambda: "fell_back=message" in hub.log(), what="the log line")
    assert post_to(hub.port, "/api/hooks/grafana", b"{}").status == 200


def test_rights_are_those_of_the_topic(start_hub: StartHub) -> None:
    hub = start_hub("--jwt-key", "0123456789abcdef0123456789abcdef", "--anonymous-publish", "ci/*")
    assert post_to(hub.port, "/api/topics/ci/a", b"x").status == 200
    assert post_to(hub.port, "/api/topics/ops", b"x").status == 401
    assert post_to(hub.port, "/api/hooks/grafana", b"{}").status == 401


def test_file_of_hooks_that_can_not_be_read_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "hooks.toml"
    with pytest.raises(SettingsError, match=r"hooks: .* can't be read"):
        Server(Settings(hooks=str(path)))
    path.write_text("[x]")
    with pytest.raises(SettingsError, match=r"hooks: .*missing"):
        Server(Settings(hooks=str(path)))
