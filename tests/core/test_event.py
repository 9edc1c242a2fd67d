from __future__ import annotations

import pytest

from tocsin.core.event import RESERVED_TYPES, Draft, EventId
from tocsin.errors import InvalidInput


def test_event_id_is_written_and_read_back() -> None:
    assert str(EventId(1732345678901, 42)) == "1732345678901-42"
    assert EventId.parse("1732345678901-42") == EventId(1732345678901, 42)


def test_event_ids_order_by_epoch_then_by_seq_as_numbers() -> None:
    assert EventId(1, 9) < EventId(1, 10) < EventId(2, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "1-",
        "-1",
        "1",
        "1-2-3",
        "1-2\n",
        " 1-2",
        "+1-2",
        "1:2",
        "a-b",
        "１-2",
        "9" * 16 + "-1",
    ],
)
def test_text_that_is_no_event_id_parses_to_none(text: str) -> None:
    assert EventId.parse(text) is None


@pytest.mark.parametrize("type", ["a", "user_joined", "A.b-c_9", "x" * 64, "message"])
def test_well_formed_type_is_taken(type: str) -> None:
    assert Draft(type, b"{}").type == type


@pytest.mark.parametrize(
    "type",
    [
        "",
        "9a",
        "_a",
        "x" * 65,
        "a b",
        "a\n",
        "a\ndata: evil",
        "a\r",
        "a\0",
        "é",
        "a\u2028",
        "a\u202e",
    ],
)
def test_malformed_type_makes_no_draft(type: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        Draft(type, b"{}")
    assert (raised.value.field, raised.value.code) == ("type", "invalid_type")


@pytest.mark.parametrize("type", sorted(RESERVED_TYPES))
def test_reserved_type_makes_no_draft(type: str) -> None:
    with pytest.raises(InvalidInput, match="reserved"):
        Draft(type, b"{}")


@pytest.mark.parametrize("topic", ["default", "a", "orders/42", "room:7@eu~x.y_z-", "9", "x" * 256])
def test_well_formed_topic_is_taken(topic: str) -> None:
    assert Draft("a", b"{}", topic).topic == topic


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "*",
        "a*",
        "x" * 257,
        "../a",
        "/a",
        "a b",
        "a\0",
        "a\n",
        "\u202ea",
        "a\u200b",
        "e\u0301",
        "é",
    ],
)
def test_malformed_topic_makes_no_draft(topic: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        Draft("a", b"{}", topic)
    assert (raised.value.field, raised.value.code) == ("topic", "invalid_topic")


def test_draft_bears_its_topics_in_the_order_given() -> None:
    assert Draft("a", b"{}", "x").topics == ("x",)
    assert Draft("a", b"{}", "x", more_topics=("z", "y")).topics == ("x", "z", "y")


@pytest.mark.parametrize(
    ("more_topics", "code"),
    [
        (("x",), "repeated_topic"),
        (("y", "y"), "repeated_topic"),
        (("a*",), "invalid_topic"),
        (("tocsin/canary",), "reserved_topic"),
        (tuple(f"t{n}" for n in range(20)), "too_many_topics"),
    ],
)
def test_bad_further_topics_make_no_draft(more_topics: tuple[str, ...], code: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        Draft("a", b"{}", "x", more_topics=more_topics)
    assert (raised.value.field, raised.value.code) == ("topics", code)


@pytest.mark.parametrize("field", ["principal", "traceparent", "key"])
def test_label_that_is_too_long_makes_no_draft(field: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        Draft("a", b"{}", **{field: "x" * 257})  # type: ignore[arg-type]
    assert raised.value.field == field
