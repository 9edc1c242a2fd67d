"""An event as a client gets it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream.

    Attributes:
        type: what was published, or ``gap`` (events are missing here), ``end`` (a topic came to its end) or ``presence``.
        data: the text; the hub's is always JSON.
        id: the last event ID as of this event: to keep, and to go on after. A ``gap`` has that of the event before it.
    """

    type: str
    data: str
    id: str

    def json(self) -> Any:
        """The data, decoded.

        Raises:
            ValueError: it isn't JSON. A hub's always is.
        """
        return json.loads(self.data)
