from __future__ import annotations

import itertools
from typing import Any, cast

import pytest

from tocsin.core.filters import EVERYTHING
from tocsin.hub.counters import Counters
from tocsin.hub.group import Group
from tocsin.hub.states import NEXT, State
from tocsin.hub.stream import Stream


class FakeLog:
    """The sets a stream is moved between; nothing is sent."""

    def __init__(self) -> None:
        self.lagging: dict[Stream, None] = {}


class FakeConnection:
    socket = None


WAYS: dict[State, list[State]] = {
    State.OPENING: [],
    State.REPLAYING: [State.REPLAYING],
    State.WAITING: [State.REPLAYING, State.WAITING],
    State.LIVE: [State.REPLAYING, State.LIVE],
    State.JOINING: [State.REPLAYING, State.JOINING],
    State.LAGGING: [State.REPLAYING, State.LIVE, State.LAGGING],
    State.ENDING: [State.ENDING],
    State.CLOSED: [State.CLOSED],
}
"""How a new stream comes to be in each state."""


def stream_that_is(state: State) -> tuple[Stream, FakeLog, Group[Stream]]:
    log, group = FakeLog(), Group[Stream](EVERYTHING, False, 5, Counters())
    stream = Stream(1, cast(Any, FakeConnection()), cast(Any, log), group, cursor=5, now=0.0)
    for each in WAYS[state]:
        stream.become(each)
    return stream, log, group


@pytest.mark.parametrize(("before", "after"), itertools.product(State, State))
def test_stream_becomes_what_the_table_allows_and_nothing_else(before: State, after: State) -> None:
    stream, log, group = stream_that_is(before)
    if after not in NEXT[before]:
        with pytest.raises(RuntimeError, match=f"{before.name}.* can't become {after.name}"):
            stream.become(after)
        assert stream.state == before
        return
    stream.become(after)
    assert stream.state == after
    sets = {"lagging": log.lagging, "live": group.live, "joining": group.joining}
    expected = {State.LIVE: ["live"], State.JOINING: ["joining"], State.CLOSED: []}
    assert [name for name, each in sets.items() if stream in each] == expected.get(
        after, ["lagging"]
    )


@pytest.mark.parametrize("state", State)
def test_only_a_live_stream_is_at_the_groups_mark(state: State) -> None:
    stream, _, group = stream_that_is(state)
    assert (stream.mark is group.mark) == (state == State.LIVE)
    assert stream.cursor == 5
