"""Bodies of services, as their documentation gives them, and bodies that are nothing of the kind."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.core.hooks import (
    MAX_VALUES,
    Hook,
    Hooked,
    as_topic,
    as_type,
    read_hooked,
    read_hooks,
)
from tocsin.errors import InvalidInput
from tocsin.http.routes.hooks import SHIPPED

NOW = "2026-11-25T08:00:00.000Z"
HOOKS = read_hooks(SHIPPED.read_bytes())

ALERTMANAGER = {
    "version": "4",
    "groupKey": '{}:{alertname="InstanceDown"}',
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "tocsin",
    "groupLabels": {"alertname": "InstanceDown"},
    "commonLabels": {"alertname": "InstanceDown", "severity": "page"},
    "commonAnnotations": {},
    "externalURL": "http://alertmanager:9093",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "InstanceDown", "instance": "a:9100", "severity": "page"},
            "annotations": {"summary": "Instance a is down"},
            "startsAt": "2026-11-25T08:00:00.000Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus:9090/graph",
            "fingerprint": "f0c7a5",
        },
        {
            "status": "resolved",
            "labels": {"alertname": "Disk full (node)", "instance": "b:9100"},
            "annotations": {"description": "Was full"},
            "startsAt": "2026-11-25T07:00:00.000Z",
            "endsAt": "2026-11-25T08:00:00.000Z",
            "generatorURL": "",
            "fingerprint": "f0c7a6",
        },
    ],
}
GRAFANA = {
    "receiver": "My Super Webhook",
    "status": "firing",
    "orgId": 1,
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "High memory usage", "team": "blue", "zone": "us-1"},
            "annotations": {
                "description": "The system has high memory usage",
                "runbook_url": "https://myrunbook.com/runbook/1234",
                "summary": "This alert was triggered for zone us-1",
            },
            "startsAt": "2021-10-12T09:51:03.157076+02:00",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "https://play.grafana.org/alerting/1afz29v7z/edit",
            "fingerprint": "c6eadffa33fcdf37",
            "silenceURL": "https://play.grafana.org/alerting/silence/new",
            "dashboardURL": "",
            "panelURL": "",
            "values": {"B": 44.23943737541908, "C": 1},
        }
    ],
    "groupLabels": {},
    "commonLabels": {"team": "blue"},
    "commonAnnotations": {},
    "externalURL": "https://play.grafana.org/",
    "version": "1",
    "groupKey": "{}:{}",
    "truncatedAlerts": 0,
    "title": "[FIRING:1]  (blue)",
    "state": "alerting",
    "message": "**Firing**",
}


def read(hook: Hook, body: object, *, max_bytes: int = 65_536, max_events: int = 1_000) -> Hooked:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_hooked(hook, text, NOW, max_bytes=max_bytes, max_events=max_events)


def payloads(hooked: Hooked) -> list[dict[str, Any]]:
    return [json.loads(draft.data) for draft in hooked.drafts]


def test_alerts_of_alertmanager_are_an_event_each() -> None:
    hooked = read(HOOKS["alertmanager"], ALERTMANAGER)
    assert [(d.type, d.topic) for d in hooked.drafts] == [
        ("firing", "alerts/InstanceDown"),
        ("resolved", "alerts/Disk-full-node-"),
    ]
    first, second = payloads(hooked)
    assert (first["message"], first["data"]["severity"]) == ("Instance a is down", "page")
    assert (second["message"], second["data"]["severity"]) == ("Was full", "unknown")
    assert first["data"]["labels"]["instance"] == "a:9100"
    assert hooked.fallbacks == ("severity",)


def test_alerts_of_grafana_are_an_event_each() -> None:
    hooked = read(HOOKS["grafana"], GRAFANA)
    assert [(d.type, d.topic) for d in hooked.drafts] == [("firing", "alerts/High-memory-usage")]
    (payload,) = payloads(hooked)
    assert payload["message"] == "This alert was triggered for zone us-1"
    assert payload["data"]["values"] == {"B": 44.23943737541908, "C": 1}


@pytest.mark.parametrize(
    "body", [{}, {"alerts": []}, {"alerts": 1}, [], 7, None, "x", {"a": {"b": 1}}]
)
def test_what_is_not_found_falls_back_and_the_whole_goes_into_the_data(body: object) -> None:
    hooked = read(HOOKS["alertmanager"], body)
    (payload,) = payloads(hooked)
    assert (hooked.drafts[0].type, hooked.drafts[0].topic) == ("alert", "alerts/unnamed")
    assert set(hooked.fallbacks) == {"each", "type", "topic", "message", "severity"}
    whole = body if isinstance(body, dict) else {"body": body}
    assert payload["data"] == {**whole, "severity": "unknown"}


@pytest.mark.parametrize("body", [b"", b"a=b", b"{", b"[1,]", b"\xff", b"NaN"])
def test_only_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(HOOKS["grafana"], body)
    assert refused.value.status == 400


def test_what_is_too_large_or_too_deep_loses_its_data() -> None:
    deep: object = 1
    for _ in range(60):
        deep = [deep]
    for extra, message in (("x" * 70_000, "m"), (deep, "m"), (1, "\x01" * 70_000)):
        alert = {"status": "firing", "annotations": {"summary": message}, "extra": extra}
        hooked = read(HOOKS["grafana"], {"alerts": [alert]}, max_bytes=4_000)
        assert "size" in hooked.fallbacks
        assert payloads(hooked)[0]["data"] == {"left_out": True}
        assert len(hooked.drafts[0].data) < 4_000


def test_elements_beyond_a_batch_are_left_out_and_told() -> None:
    hooked = read(HOOKS["grafana"], {"alerts": [{}] * 25}, max_events=10)
    assert (len(hooked.drafts), hooked.left_out) == (10, 15)


def test_pointers_go_through_lists_and_escapes_and_are_tried_in_order() -> None:
    (hook,) = read_hooks(
        b'[x]\ndata = "/d"\ntype = {fallback = "t"}\ntopic = {fallback = "t"}\n'
        b'message = {pointers = ["/no", "/a~1b/1/c~0d", "/n"], fallback = "f"}'
    ).values()
    assert payloads(read(hook, {"a/b": [0, {"c~d": "yes"}], "d": {"k": 1}}))[0] == {
        **payloads(read(hook, {"a/b": [0, {"c~d": "yes"}], "d": {"k": 1}}))[0],
        "message": "yes",
        "data": {"k": 1},
    }
    assert payloads(read(hook, {"a/b": [0], "n": 1.5}))[0]["message"] == "1.5"
    assert read(hook, {"n": True}).fallbacks == ("data",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"x", "expected"),
        (b"[x]", "missing required field"),
        (b'[x]\nkind = 1', "unknown field"),
        (b'["X!"]\ntype={fallback="t"}\ntopic={fallback="t"}\nmessage={fallback="m"}', "must match"),
        (b'[x]\ntype={fallback="gap"}\ntopic={fallback="t"}\nmessage={fallback="m"}', "gap"),
        (b'[x]\ntype={fallback="t"}\ntopic={fallback="a b"}\nmessage={fallback="m"}', "a b"),
        (b'[x]\ntype={fallback="t"}\ntopic={fallback="t"}\nmessage={fallback=""}', "empty"),
        (b'[x]\neach="a"\ntype={fallback="t"}\ntopic={fallback="t"}\nmessage={fallback="m"}', "/"),
    ],
)  # fmt: skip
def test_mapping_that_can_not_be_is_refused_in_one_line(text: bytes, says: str) -> None:
    with pytest.raises(ValueError, match="(?i)" + says) as refused:
        read_hooks(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [b"1", b"[]", b'{"a":{}}', b'["b","c"]'])
def test_more_values_than_anybody_sends_are_refused_before_they_are_read(value: bytes) -> None:
    body = b'{"alerts":[' + b",".join([value] * (MAX_VALUES // 4)) + b"]}"
    hooked = read_hooked(HOOKS["alertmanager"], body, NOW, max_bytes=1_000, max_events=10)
    assert (len(hooked.drafts), hooked.left_out) == (10, MAX_VALUES // 4 - 10)
    many = b'{"alerts":[' + b",".join([value] * MAX_VALUES)  # it needn't even be JSON
    with pytest.raises(InvalidInput, match="more than 100000 values") as refused:
        read_hooked(HOOKS["alertmanager"], many, NOW, max_bytes=1_000, max_events=10)
    assert (refused.value.status, refused.value.code) == (413, "too_large")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["alerts", "labels", "status", "alertname", "x"]), inner)
    ),
)


@given(JSON, st.text(max_size=300))
def test_any_json_comes_to_events(body: Any, text: str) -> None:
    alert = {"status": text, "labels": {"alertname": text, "severity": text}, "x": body}
    for each in (body, {"alerts": [body, alert]}):
        hooked = read(HOOKS["alertmanager"], json.dumps(each).encode("utf-8", "replace"))
        assert hooked.drafts


@given(st.text())
def test_any_text_becomes_a_topic_and_a_type_or_nothing(text: str) -> None:
    assert as_topic(as_topic(text)) == as_topic(text)
    assert as_type(as_type(text)) == as_type(text)
