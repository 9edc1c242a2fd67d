"""POSTs as usual Python clients send them: head and body in two segments."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import httpx
import requests
from peers.base import Server
from plan import Case, Goal, Opened, Row, Sample, Term, each_time

from rows.one_post import Publisher
from rows.sample import WARM_UP_S
from tocsin.bench import BenchError

NOTICE = {"type": "bench", "message": "x" * 60}
MEASURED = ("tocsin",)

Post = Callable[[], int]
"""Publishes one event; the answer's status."""


@contextmanager
def by_hand(server: Server) -> Iterator[Post]:
    """Head and body written at once."""
    request = server.target.publish_request(NOTICE["message"].encode())
    with Publisher(server.target) as publisher:
        yield lambda: publisher.post(request)


@contextmanager
def by_http_client(server: Server) -> Iterator[Post]:
    """The standard library's."""
    body = server.target.body.replace("{message}", NOTICE["message"]).encode()
    connection = http.client.HTTPConnection("127.0.0.1", server.port)

    def post() -> int:
        connection.request("POST", "/api/notify", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status

    yield post
    connection.close()


@contextmanager
def by_requests(server: Server) -> Iterator[Post]:
    """A session of requests."""
    with requests.Session() as session:
        yield lambda: session.post(_url(server), json=NOTICE).status_code


@contextmanager
def by_httpx(server: Server) -> Iterator[Post]:
    """A client of httpx."""
    with httpx.Client() as client:
        yield lambda: client.post(_url(server), json=NOTICE).status_code


def _url(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}/api/notify"


def one_at_a_time(client: Callable[[Server], AbstractContextManager[Post]]) -> Opened:
    """One connection, and a POST when the last is answered."""

    def measure(server: Server, seconds: float) -> Sample:
        with client(server) as post:
            _post_for(WARM_UP_S, post)
            cpu_s, load_s, begun = server.cpu_s(), time.process_time(), time.monotonic()
            count = _post_for(seconds, post)
            took_s = time.monotonic() - begun
            cpu_s, load_s = server.cpu_s() - cpu_s, time.process_time() - load_s
        return {
            "us_per_publish": cpu_s / count * 1e6,
            "published_per_s": count / took_s,
            "server_busy": cpu_s / took_s,
            "load_busy": load_s / took_s,
        }

    return each_time(measure)


def _post_for(seconds: float, post: Post) -> int:
    """How often it was done; at least once."""
    end, count = time.monotonic() + seconds, 0
    while not count or time.monotonic() < end:
        if (status := post()) != 200:
            raise BenchError(f"a POST was answered with status {status}")
        count += 1
    return count


AT_ONCE = "written at once"
CLIENTS = {"requests": by_requests, "httpx": by_httpx, "http.client": by_http_client}

ROW = Row(
    name="clients-post",
    title="POSTs one at a time by usual Python clients",
    cases=(
        Case(AT_ONCE, MEASURED, one_at_a_time(by_hand)),
        *(Case(name, MEASURED, one_at_a_time(client)) for name, client in CLIENTS.items()),
    ),
    figures=("us_per_publish", "published_per_s", "server_busy", "load_busy"),
    compared=("us_per_publish",),
    goals=tuple(
        Goal(
            Term(name, "tocsin", "us_per_publish"),
            Term(AT_ONCE, "tocsin", "us_per_publish"),
            2,
            at_most=True,
        )
        for name in CLIENTS
    ),
    note=(
        "The clients are the limit here, so it is the server's CPU that tells; its ticks are part of it,"
        " the more so the slower the client."
    ),
)
