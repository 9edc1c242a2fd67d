from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.core.strict_json import MAX_DEPTH, decode
from tocsin.errors import InvalidInput


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    name: str = ""
    data: dict[str, Any] = {}


def refusal(body: bytes) -> tuple[int, str]:
    with pytest.raises(InvalidInput) as raised:
        decode(body, Shape)
    return raised.value.status, raised.value.code


@pytest.mark.parametrize("body", [
    b"", b"{", b"nonsense", b"{} {}", b"\xff", b'{"name": "\xff"}', b"\xef\xbb\xbf{}",
    '{"name": "a"}'.encode("utf-16"), b'{"data": {"a": NaN}}', b'{"data": {"a": -Infinity}}',
    b'{"name": "a\x01"}', b"{'name': 1}", b'{"name": "a",}',
])  # fmt: skip
def test_what_is_not_json_is_refused(body: bytes) -> None:
    assert refusal(body) == (400, "invalid_json")


@pytest.mark.parametrize("body", [b'{"name": "\\ud800"}', b'{"data": {"\\udfff": 1}}'])
def test_half_of_a_surrogate_pair_is_refused_by_name(body: bytes) -> None:
    assert refusal(body) == (422, "invalid_unicode")


@pytest.mark.parametrize(
    "body", [b'{"name": "a", "name": "b"}', b'{"data": {"x": [{"a": 1, "a": 1}]}}']
)
def test_duplicate_names_are_refused_at_any_depth(body: bytes) -> None:
    assert refusal(body) == (400, "duplicate_key")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"name": 5}', "name"),
        (b'{"data": []}', "data"),
        (b'{"data": null}', "data"),
        (b'{"nmae": "a"}', "nmae"),
    ],
)
def test_misshapen_body_names_the_field(body: bytes, field: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        decode(body, Shape)
    assert (raised.value.status, raised.value.field) == (422, field)


@pytest.mark.parametrize("body", [b"[]", b"null", b"5", b'"x"'])
def test_anything_but_an_object_is_misshapen(body: bytes) -> None:
    assert refusal(body) == (422, "invalid_field")


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": {"a": 1e999}}',
        *(b'{"data": {"a": ' + b"9" * digits + b"}}" for digits in (309, 4_300, 4_301, 5_000)),
        *(b'{"data": {"a": [' + b" " * blanks + b"-" + b"1" * 309 + b"]}}" for blanks in range(40)),
    ],
)
def test_numbers_out_of_range_are_refused(body: bytes) -> None:
    assert refusal(body) == (422, "invalid_field")


@pytest.mark.parametrize(
    "value", [b"1" * 308, b"-" + b"1" * 308, b"0." + b"1" * 400, b'"' + b"1" * 400 + b'"']
)
def test_numbers_that_a_double_can_hold_are_taken_and_so_are_digits_in_texts(value: bytes) -> None:
    decode(b'{"data": {"a": ' + value + b"}}", Shape)


def nested(levels: int) -> bytes:
    return b'{"data": {"a": ' + b"[" * levels + b"]" * levels + b"}}"


def test_depth_is_bounded() -> None:
    assert decode(nested(MAX_DEPTH - 2), Shape)
    assert refusal(nested(MAX_DEPTH - 1)) == (400, "too_deep")
    assert refusal(b'{"data": {"a": ' + b"[" * 100_000) == (400, "too_deep")


def test_wide_bodies_are_not_deep() -> None:
    assert decode(b'{"data": {"a": [' + b"[]," * 5_000 + b"[]]}}", Shape)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON, max_size=4))
def test_valid_data_comes_through_unchanged(data: dict[str, Any]) -> None:
    assert decode(msgspec.json.encode({"data": data}), Shape).data == data
