from __future__ import annotations

import pytest

from tocsin.core.tracing import trace_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def test_trace_is_the_second_part() -> None:
    assert trace_of(f"00-{TRACE}-{PARENT}-01") == TRACE


def test_later_version_may_have_more_parts() -> None:
    assert trace_of(f"01-{TRACE}-{PARENT}-01-more") == TRACE


@pytest.mark.parametrize(
    "text",
    [
        "",
        TRACE,
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01\n",
        f"01-{TRACE}-{PARENT}-01-{'x' * 300}",
    ],
)
def test_malformed_one_is_none(text: str) -> None:
    assert trace_of(text) == ""
