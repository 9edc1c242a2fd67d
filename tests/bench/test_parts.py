"""The generator's parts, without a socket."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.bench import BenchError, Latencies, hub_at
from tocsin.bench.answers import first_answer, stream_status
from tocsin.bench.latency import percentile
from tocsin.bench.marks import MARK, Trail, numbered, padding

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
GONE = b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "status", "closes"), [(OK, 200, False), (CHUNKED, 202, False), (GONE, 503, True)]
)
def test_answer_ends_where_the_next_one_begins(answer: bytes, status: int, closes: bool) -> None:
    assert first_answer(answer + OK) == (status, len(answer), closes)
    assert [first_answer(answer[:cut]) for cut in range(len(answer))] == [None] * len(answer)


def test_stream_has_its_status_once_its_head_is_complete() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    assert stream_status(head[:-1]) is None
    assert stream_status(head + b"event: x") == 200


def test_what_is_not_http_is_refused() -> None:
    with pytest.raises(ValueError, match="not an HTTP answer"):
        first_answer(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


@given(cuts=st.lists(st.integers(0, 400), max_size=8))
def test_trail_reads_numbers_and_ids_however_the_bytes_are_cut(cuts: list[int]) -> None:
    blocks = [
        b'event: bench\ndata: {"message":"%b%b"}\nid: 1-%d\n\n' % (padding(30), numbered(n), n + 1)
        for n in range(5)
    ]
    data = b"".join(blocks)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    trail = Trail()
    for start, end in pairwise(edges):
        trail.feed(data[start:end])
    assert trail.numbers == [0, 1, 2, 3, 4]
    assert trail.ids == ["1-1", "1-2", "1-3", "1-4", "1-5"]
    assert data.count(MARK) == 5


def test_message_that_cannot_hold_its_number_is_refused() -> None:
    with pytest.raises(ValueError, match="10 bytes or more"):
        padding(9)


def test_percentile_is_a_value_that_was_measured() -> None:
    assert [percentile([1, 2, 3, 4], p) for p in (25, 50, 99)] == [1, 2, 4]
    assert Latencies.of_ns([]) == Latencies()
    assert Latencies.of_ns([2_000_000, 1_000_000]).p50 == 1.0


@pytest.mark.parametrize("url", ["ftp://hub", "http://", "http://hub:port"])
def test_url_that_is_no_hub_is_refused(url: str) -> None:
    with pytest.raises(BenchError):
        hub_at(url)


def test_hub_behind_a_prefix_is_asked_under_it() -> None:
    target = hub_at("http://example.org/tocsin/")
    assert (target.host, target.port) == ("example.org", 80)
    assert target.subscribe_request("a").startswith(b"GET /tocsin/events?topic=a HTTP/1.1\r\n")
