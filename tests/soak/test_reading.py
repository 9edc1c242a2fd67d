"""What subscribers of the soak read is what was sent, wherever it is cut; what no hub sends is noted."""

from __future__ import annotations

import pytest

from tests.soak.history import Asked, Gap, Subscriber, Welcome
from tests.soak.subscribers import Body, Chunks

WELCOME = (
    b'retry: 1000\nevent: connection\ndata: {"resumed":true,"replayed":2,"missed":3}\nid: 9-4\n\n'
)
GAP = b'event: gap\ndata: {"reason":"evicted","requested":"9-1","oldest":"9-5","missed":3}\n\n'
BUSY = b'retry: 2000\nevent: busy\ndata: {"reason":"draining","retry":2000}\n\n'


def event(token: int, seq: int, topic: str = "a", intended: str = "a") -> bytes:
    return (
        f'event: notice\ndata: {{"message":"{token} {intended} notice xx","data":{{}},'
        f'"timestamp":"2030-01-01T00:00:00.000Z","source":"api","topic":"{topic}"}}\nid: 9-{seq}\n\n'
    ).encode()


STREAM = WELCOME + GAP + event(70, 5) + b":\n" + event(80, 6) + b":\n:\n" + event(90, 7) + BUSY


def read(pieces: list[bytes], chunks: Chunks | None = None) -> Subscriber:
    subscriber = Subscriber("somebody", Asked())
    subscriber.connect()
    body = Body(subscriber)
    for piece in pieces:
        body.feed(chunks.payload(piece) if chunks else piece)
    return subscriber


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def in_chunks(data: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in pieces(data, 37)) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 333, len(STREAM)])
@pytest.mark.parametrize("chunked", [False, True])
def test_reads_the_same_in_pieces_of_any_size(size: int, chunked: bool) -> None:
    sent = in_chunks(STREAM) if chunked else STREAM
    subscriber = read(pieces(sent, size), Chunks() if chunked else None)
    (connection,) = subscriber.connections
    assert connection.odd == []
    assert connection.welcome == Welcome((9, 4), True, 2, 3)
    assert connection.gap == Gap("evicted", (9, 1), (9, 5), 3)
    assert list(zip(subscriber.seqs, subscriber.tokens, strict=True)) == [(5, 70), (6, 80), (7, 90)]
    assert subscriber.cursor == (9, 7)


@pytest.mark.parametrize("cut", range(1, 40))
def test_takes_nothing_of_an_event_that_is_cut(cut: int) -> None:
    subscriber = read([WELCOME, event(70, 5)[:-cut]])
    assert subscriber.cursor == (9, 4)
    assert not subscriber.seqs


@pytest.mark.parametrize(
    "block",
    [
        event(70, 5, topic="b"),
        event(70, 5).replace(b"event: notice", b"event: other"),
        event(70, 5).replace(b"\nid: 9-5", b""),
        event(70, 5)[20:],
        b"event: presence\ndata: {}\n\n",
        b":\n\n",
    ],
)
def test_notes_what_no_hub_sends(block: bytes) -> None:
    subscriber = read([WELCOME, event(60, 4), block, event(80, 6)])
    assert len(subscriber.connections[0].odd) == 1
