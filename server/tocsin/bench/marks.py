"""What the generator puts into its messages, so that counting and timing them costs next to nothing.

A message is padding, nine digits that number it, and the *mark*, one byte that nothing else in a
stream holds. One byte can't be cut in two by the end of a read, so counting the events of a read is
one `bytearray.count` over the shared buffer: no parsing, and no state for each stream. Only one stream
in all, the witness, is read in full, by a `Trail`.
"""

from __future__ import annotations

import re

MARK = b"~"
"""Ends each message. Not in base64, ISO times, event ids, JSON's syntax or an HTTP answer's head."""

DIGITS = 9

SMALLEST_MESSAGE_BYTES = DIGITS + len(MARK)

_REST_BYTES = 256  # longer than any id line

_NUMBER_OR_ID = re.compile(rb"(\d{%d})%b|\nid: ?([^\r\n]+)(?=[\r\n])" % (DIGITS, MARK))


def padding(size: int) -> bytes:
    """The part of a message of `size` bytes that comes before its number.

    Raises:
        ValueError: the number and the mark don't fit into `size`.
    """
    if size < SMALLEST_MESSAGE_BYTES:
        raise ValueError(f"a message has {SMALLEST_MESSAGE_BYTES} bytes or more, not {size}")
    return b"x" * (size - SMALLEST_MESSAGE_BYTES)


def numbered(number: int) -> bytes:
    """The part of a message that comes after its padding."""
    return b"%0*d%b" % (DIGITS, number, MARK)


class Trail:
    """Which events one stream read, in its order, however its reads cut the bytes.

    `numbers` holds our events' numbers; `ids` each id line's value, those of foreign events too.
    """

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.ids: list[str] = []
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take the bytes of one read, in the order of reading."""
        data = self._rest + data
        end = 0
        for match in _NUMBER_OR_ID.finditer(data):
            end = match.end()
            if match[1]:
                self.numbers.append(int(match[1]))
            else:
                self.ids.append(match[2].decode("latin-1"))
        self._rest = data[max(end, len(data) - _REST_BYTES) :]
