"""All that is used of Tornado's insides, in one place: an upgrade of Tornado is a look at this module and its test."""

from __future__ import annotations

import socket

from tornado.iostream import IOStream


def iostream_with(
    data: bytes, sock: socket.socket, *, max_buffer_size: int, chunk_size: int
) -> IOStream:
    """An IOStream over `sock` whose next read begins with `data`, which was read from it before."""
    stream = IOStream(sock, max_buffer_size=max_buffer_size, read_chunk_size=chunk_size)
    stream._read_buffer += data
    stream._read_buffer_size += len(data)
    return stream
