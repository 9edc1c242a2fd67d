"""What an open stream can be, and what it can become: the one table of that.

`Stream.become` is the only one that changes a state, and moves the stream to the set that goes with it.
So a stream is in exactly one set at any time, and none is forgotten on the way from one to another.
"""

from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    """Where a stream is in its life. An IntEnum, as its members hash as fast as numbers.

    | state | means | in |
    | --- | --- | --- |
    | OPENING | its opening isn't with the socket yet | `lagging` |
    | REPLAYING | it gets what came before it opened; it waits for the socket, or for its turn | `lagging` |
    | WAITING | what it gets next is read from the journal; or it named an id that this process has not come to | `lagging` |
    | LAGGING | its socket did not take everything; it goes on from its own cursor | `lagging` |
    | JOINING | at the head, while something is pending for its group; the next pass makes it live | `group.joining` |
    | LIVE | at its group's mark: a pass sends to it | `group.live` |
    | ENDING | its last bytes are on their way | `lagging` |
    | CLOSED | over | nowhere |
    """

    OPENING = 0
    REPLAYING = 1
    WAITING = 2
    LAGGING = 3
    JOINING = 4
    LIVE = 5
    ENDING = 6
    CLOSED = 7


_AT_HEAD = {State.JOINING, State.LIVE}
_OVER = {State.ENDING, State.CLOSED}

NEXT: dict[State, frozenset[State]] = {
    State.OPENING: frozenset({State.REPLAYING} | _OVER),
    State.REPLAYING: frozenset({State.WAITING} | _AT_HEAD | _OVER),
    State.WAITING: frozenset({State.REPLAYING, State.LAGGING} | _OVER),
    State.LAGGING: frozenset({State.WAITING} | _AT_HEAD | _OVER),
    State.JOINING: frozenset({State.LAGGING, State.LIVE} | _OVER),
    State.LIVE: frozenset({State.LAGGING} | _OVER),
    State.ENDING: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}
"""The states that may follow each state. Anything else is a bug, and raises."""
