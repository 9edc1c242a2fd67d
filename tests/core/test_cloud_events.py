from __future__ import annotations

import json
from typing import Any

import pytest

from tocsin.core.cloud_events import draft_of_cloud_event, key_of, read_binary, read_structured
from tocsin.core.event import Draft
from tocsin.errors import InvalidInput

NOW = "2026-11-25T08:00:00.000Z"
EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "a.b"}


def draft(event: dict[str, Any], *, has_key: bool = False) -> Draft:
    return draft_of_cloud_event(event, "t", NOW, max_bytes=10_000, has_key=has_key)


def test_structured_event_is_published_whole() -> None:
    event = EVENT | {"data": {"message": "m", "n": [1]}, "traceparent": "x"}
    made = draft(read_structured(json.dumps(event).encode()))
    payload = json.loads(made.data)
    assert (made.type, made.topic, made.key) == ("a.b", "t", key_of(event))
    assert (payload["message"], payload["data"]) == ("m", event)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, "a.b"),
        ({"subject": "s"}, "s"),
        ({"subject": "s", "data": "text"}, "text"),
        ({"subject": "s", "data": {"message": 1}}, "s"),
        ({"data": [1]}, "a.b"),
        ({"data_base64": "AA=="}, "a.b"),
    ],
)
def test_message_is_the_first_text_that_there_is(more: dict[str, Any], message: str) -> None:
    assert json.loads(draft(EVENT | more).data)["message"] == message


def test_binary_event_is_that_of_its_headers_and_its_body() -> None:
    headers = {f"ce-{name}": value for name, value in EVENT.items()}
    headers |= {"ce-subject": "caf%C3%A9", "content-type": "application/json", "host": "h"}
    assert read_binary(headers, b'{"n":1}', is_json=True) == EVENT | {
        "subject": "caf\u00e9",
        "datacontenttype": "application/json",
        "data": {"n": 1},
    }
    headers["content-type"] = "image/png"
    assert read_binary(headers, b"\xff", is_json=False)["data_base64"] == "/w=="
    assert read_binary(headers, b"text", is_json=False)["data"] == "text"


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
@pytest.mark.parametrize("value", [None, "", 1])
def test_event_without_a_required_attribute_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_structured(json.dumps(EVENT | {name: value}).encode())
    assert (refused.value.status, refused.value.field) == (400, name)


@pytest.mark.parametrize(
    "event", [EVENT | {"specversion": "0.3"}, EVENT | {"type": "1.x"}, EVENT | {"type": "gap"}]
)
def test_version_and_type_that_can_not_be_are_refused(event: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        draft(read_structured(json.dumps(event).encode()))


def test_key_is_of_source_and_id_alone_and_gives_way_to_the_requests() -> None:
    assert draft(EVENT).key == draft(EVENT | {"subject": "x"}).key
    others = [EVENT | {"id": "2"}, EVENT | {"source": "/s2"}, EVENT | {"source": "/", "id": "s1"}]
    assert len({draft(event).key for event in [EVENT, *others]}) == 4
    assert draft(EVENT, has_key=True).key == ""
