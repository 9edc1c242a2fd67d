"""When the system had a request, where the loop was late: what deliveries are timed from."""

from __future__ import annotations

import socket
import time

from tests.raw import notice, post
from tests.serving import StreamClient, eventually, serving
from tocsin.http.listening import listening_sockets, received


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection to a listening socket of the hub's."""
    (listening,) = listening_sockets("127.0.0.1", 0)
    with listening:
        client = socket.create_connection(listening.getsockname())
        listening.settimeout(10)
        accepted, _ = listening.accept()
    return client, accepted


def test_time_of_the_last_bytes_comes_with_what_is_read() -> None:
    client, accepted = pair()
    with client, accepted:
        accepted.settimeout(10)
        sent = time.time()
        client.sendall(b"one")
        time.sleep(0.3)
        data, at = received(accepted, 100)
    assert data == b"one"
    assert sent - 0.01 <= at < sent + 0.25


def test_socket_that_does_not_say_is_read_all_the_same() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"one")
        assert received(ours, 100) == (b"one", 0.0)


async def test_request_that_waited_for_the_loop_is_late_by_that() -> None:
    async with serving(canary=0) as server:
        client = await StreamClient.open(server)
        await client.next()
        with socket.create_connection(("127.0.0.1", server.port)) as publisher:
            publisher.sendall(post(notice()))
            time.sleep(0.6)  # the loop stands still
            await client.next()
        latency_s = server.hub.counters.latency_s
        await eventually(lambda: sum(latency_s.counts) == 1)
        assert 0.55 < latency_s.sum < 60


async def test_same_draft_published_again_is_timed_anew() -> None:
    from tocsin import Draft

    async with serving(canary=0) as server:
        await StreamClient.open(server)
        draft = Draft("tick", b"{}")
        await server.hub.publish(draft)
        first = draft.received
        time.sleep(0.05)
        await server.hub.publish(draft)
        assert draft.received > first > 0
