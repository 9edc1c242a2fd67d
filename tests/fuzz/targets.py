"""What atheris feeds with bytes of its own choice, guided by what code they reach: `python targets.py TARGET SECONDS`.

Each target raises where the hub would do what it must not: an error of another kind than the one promised, or bytes
that a client reads as something else than what was published.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris
import msgspec
from tornado.httputil import HTTPHeaders, parse_request_start_line

with atheris.instrument_imports(include=["tocsin"]):
    from tocsin.access.keys import KeyTable
    from tocsin.access.principal import Principal
    from tocsin.access.tickets import Tickets
    from tocsin.access.trusted_proxies import TrustedProxies, address_in
    from tocsin.client import EventStreamParser as ClientParser
    from tocsin.client import EventTooLarge
    from tocsin.core.cloud_events import draft_of_cloud_event, read_structured
    from tocsin.core.event import Event, EventId
    from tocsin.core.filters import Filter
    from tocsin.core.hooks import read_hooked, read_hooks
    from tocsin.core.publish_body import read_batch, read_event
    from tocsin.core.record import RecordError, decode_record, encode_record
    from tocsin.errors import InvalidInput, SettingsError, Unauthorized
    from tocsin.eventlog.entry import Entry
    from tocsin.http.http1 import read_head
    from tocsin.http.parameters import Parameters
    from tocsin.http.request import Request, joined
    from tocsin.http.routes import events, hooks
    from tocsin.settings.layers import load

from tests.sse import EventStreamParser

NOW = "2026-01-01T00:00:00.000Z"
MAX_BYTES = 65_536
TRUNK = Path(tempfile.mkdtemp(prefix="tocsin-fuzz-"))


def event_id(data: bytes) -> None:
    """A cursor is an id, or none; one that is spells itself."""
    text = data.decode("latin-1")
    id = EventId.parse(text)
    if id is not None:
        assert EventId.parse(str(id)) == id


def publish_body(data: bytes) -> None:
    """A body is refused as `InvalidInput`, or is one event that any client reads as it was sent."""
    with suppress(InvalidInput):
        draft = read_event(data, NOW, max_bytes=MAX_BYTES)
        entry = Entry.of(Event(EventId(1, 1), draft, 0.0))
        event, *ends = EventStreamParser().feed(entry.block)
        sent = json.loads(data)
        assert entry.final == draft.final == sent.get("final", False)
        assert entry.data == draft.data
        told = [(end.type, end.json["topic"], end.last_event_id) for end in ends]
        assert told == [("end", topic, "1-1") for topic in draft.topics if draft.final]
        assert (event.type, event.last_event_id) == (sent["type"], "1-1")
        assert event.json["message"] == sent["message"]


def cloud_event(data: bytes) -> None:
    """A CloudEvent is refused as `InvalidInput`, or is an event with all of it as its data."""
    with suppress(InvalidInput):
        draft = draft_of_cloud_event(
            read_structured(data), "t", NOW, max_bytes=MAX_BYTES, has_key=False
        )
        event, *_ = EventStreamParser().feed(Entry.of(Event(EventId(1, 1), draft, 0.0)).block)
        assert event.json["data"] == msgspec.json.decode(data)


def hook(data: bytes) -> None:
    """What a service sends is refused as `InvalidInput`, or is some events that any client reads."""
    with suppress(InvalidInput):
        for mapping in HOOKS.values():
            hooked = read_hooked(mapping, data, NOW, max_bytes=1_000, max_events=3)
            assert 1 <= len(hooked.drafts) <= 3
            for draft in hooked.drafts:
                block = Entry.of(Event(EventId(1, 1), draft, 0.0)).block
                (event,) = EventStreamParser().feed(block)
                assert event.json["message"]


def request_head(data: bytes) -> None:
    """A head that the fast lane takes is one for Tornado too, which reads the same in it."""
    head = read_head(data)
    if head is None:
        return
    first, _, lines = data.decode("latin-1").partition("\r\n")
    start = parse_request_start_line(first)
    assert (start.method, start.version) == (head.method, head.version)
    assert start.path.endswith(head.path + ("?" + head.query if "?" in start.path else ""))
    assert head.headers == joined(HTTPHeaders.parse(lines and lines + "\r\n").get_all())
    assert head.body_bytes == int(head.headers.get("content-length", "0").partition(",")[0])


def query(data: bytes) -> None:
    """A query is refused as `InvalidInput`, or is read into what streams know and what means nothing to them."""
    with suppress(InvalidInput):
        read = Parameters.read(Request("GET", "/events", data.decode("latin-1")), events.KNOWN)
        assert set(read.values) <= events.KNOWN
        assert events.KNOWN.isdisjoint(read.ignored)
        assert isinstance(read.filter, Filter)


def ticket(data: bytes) -> None:
    """What the hub did not sign is no ticket, and no error of another kind."""
    text = data.decode("latin-1")
    if text == TICKET:
        return
    try:
        TICKETS.read("ticket", text, KeyTable())
    except Unauthorized:
        return
    raise AssertionError("somebody else's ticket was taken")


def forwarded(data: bytes) -> None:
    """Whatever headers say, who is behind a proxy has an address, and one that the proxy could have seen."""
    first, _, second = data.decode("latin-1").partition("\n")
    client = PROXIES.client("10.0.0.1", {"x-forwarded-for": first, "forwarded": second})
    assert address_in(client) is not None


def batch(data: bytes) -> None:
    """A batch, an array or NDJSON, is refused as `InvalidInput` or has as many events as it has values."""
    ndjson = data[:1] == b"\n"
    with suppress(InvalidInput):
        reading = read_batch(data, NOW, ndjson=ndjson, max_bytes=MAX_BYTES, max_events=1_000)
        while True:
            try:
                next(reading)
            except StopIteration as end:
                drafts = end.value
                break
        values = (
            [line for line in data.split(b"\n") if line.strip()] if ndjson else json.loads(data)
        )
        assert len(drafts) == len(values)


def record(data: bytes) -> None:
    """What a file holds is an event, or `RecordError`; one that is is written as it is read."""
    with suppress(RecordError):
        event = decode_record(data)
        assert isinstance(event, Event)
        assert decode_record(encode_record(event)) == event


def settings(data: bytes) -> None:
    """A file of settings is taken, or `SettingsError` says why not."""
    file = TRUNK / "tocsin.toml"
    file.write_bytes(data)
    with suppress(SettingsError):
        load(path=str(file))


def event_stream(data: bytes) -> None:
    """The client's parser reads a stream, cut where the first byte says, as the reference does; or it is too large."""
    body, cut = data[1:], data[0] if data else 0
    parser, reference = ClientParser(max_event_bytes=1_000), EventStreamParser()
    with suppress(EventTooLarge):
        events = [event for piece in (body[:cut], body[cut:]) for event in parser.feed(piece)]
        expected = reference.feed(body + b"x")  # else it would wait to see what follows a last CR
        assert [(e.type, e.data, e.id) for e in events] == [
            (e.type, e.data, e.last_event_id) for e in expected
        ]
        assert parser.last_event_id == reference.last_event_id


HOOKS = read_hooks(hooks.SHIPPED.read_bytes())
PROXIES = TrustedProxies(["10.0.0.0/8"])
TICKETS = Tickets(b"k" * 32, lambda: 0.0)
TICKET, _ = TICKETS.issue("ticket", Principal(name="jwt:me", expires_at=1.0))

TARGETS = {
    f.__name__: f
    for f in (
        *(event_id, publish_body, batch, record, settings, event_stream),
        *(cloud_event, hook, request_head, query, ticket, forwarded),
    )
}
SEEDS = {
    "event_id": [b"1732345678901-42", b"0-0"],
    "publish_body": [
        b'{"type":"a","message":"m","data":{"x":[1,1e9,"\\u2028"]},"topic":"t/1"}',
        b'{"type":"a","message":"m","topics":["t/1","t/2"],"final":true}',
    ],
    "batch": [
        b'[{"type":"a","message":"m"}]',
        b'\n{"type":"a","message":"m"}\n{"type":"b","message":"n","final":true}',
    ],
    "cloud_event": [
        b'{"specversion":"1.0","id":"1","source":"/s","type":"a","data":{"message":"m"},"final":true}'
    ],
    "hook": [
        b'{"status":"firing","alerts":[{"status":"firing","labels":{"alertname":"a","severity":"page"},'
        b'"annotations":{"summary":"m"}}]}'
    ],
    "request_head": [
        b"GET /events?topic=a HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 1-1",
        b"POST http://h/api/notify HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nAuthorization: Bearer a",
    ],
    "query": [b"topic=a/*&type=b&last=1&lastEventId=1-1&_=1"],
    "ticket": [TICKET.encode(), TICKET.partition(".")[0].encode() + b"."],
    "forwarded": [b'1.2.3.4, 10.0.0.2\nfor="[::1]:80";by=x, for=1.2.3.4'],
    "settings": [b'port = 3000\ncors_origin = ["*"]\nheartbeat = 30.0\n'],
    "record": [],
    "event_stream": [
        b"\x09\xef\xbb\xbfevent: a\r\ndata: x\rdata\nid: 1\nretry: 5\n\n:\ndata: y\r\r",
    ],
}


def main() -> None:
    """Feed one target for some seconds, on its own folder of what was found to reach new code."""
    name, seconds = sys.argv[1:]
    corpus = TRUNK / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(SEEDS[name]):
        (corpus / str(number)).write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        "-max_len=4096",
        f"-artifact_prefix={TRUNK}/",
        "-rss_limit_mb=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
