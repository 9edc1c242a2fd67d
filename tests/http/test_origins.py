"""Pages of other origins, and other hosts: what each lane answers to them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from tests.conftest import StartHub
from tests.hub_process import HubProcess, free_ports
from tests.patience import wait_until
from tests.raw import Answer, exchange, get, notice, post, raw
from tests.serving import serving
from tocsin import Hub, Settings, routes
from tocsin.errors import Refused
from tocsin.http.hosts import MAX_KNOWN, Hosts
from tocsin.http.request import Request

LANES = {"fast": (), "tornado": ("Upgrade: x",)}
LISTED = "https://app.example"
APP = "capacitor://localhost"
OTHER = "https://evil.example"
CORS = "access-control-"
USUAL = "Authorization, Cache-Control, Content-Type, Last-Event-ID"


@pytest.fixture(scope="module", params=LANES)
def lane(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Header lines that send a request by this lane."""
    return LANES[request.param]


@pytest.fixture(scope="module")
def hubs() -> Iterator[dict[str, HubProcess]]:
    """Hubs by whom they grant: nobody, any, some, or some and all others too."""
    some = ("--cors-origin", "https://App.Example:443", "--cors-origin", APP)
    flags = {
        "nobody": ("--public-url", "https://hub.example/tocsin"),
        "any": ("--cors-origin", "*"),
        "some": (*some, "--cors-origin", "null", "--allowed-host", "Hub.Internal"),
        "both": (*some, "--cors-origin", "*"),
    }
    hubs = {name: HubProcess("--canary", "0", *each) for name, each in flags.items()}
    yield hubs
    for hub in hubs.values():
        assert "Traceback" not in hub.log()
        hub.close()


def granted(answer: Answer) -> dict[str, str]:
    """Its CORS headers, without their common beginning."""
    return {k.removeprefix(CORS): v for k, v in answer.headers.items() if k.startswith(CORS)}


def of_origin(origin: str | None) -> tuple[str, ...]:
    return () if origin is None else (f"Origin: {origin}",)


WITH_CREDENTIALS = {"allow-origin": LISTED, "allow-credentials": "true"}
GRANTS: list[tuple[str, str | None, dict[str, str], str | None]] = [
    # who is granted, who asks, what is granted, Vary
    ("nobody", None, {}, None),
    ("nobody", OTHER, {}, None),
    ("nobody", "null", {}, None),
    ("any", None, {"allow-origin": "*"}, None),
    ("any", OTHER, {"allow-origin": "*"}, None),
    ("any", "null", {"allow-origin": "*"}, None),
    ("some", None, {}, "Origin"),
    ("some", LISTED, WITH_CREDENTIALS, "Origin"),
    ("some", APP, WITH_CREDENTIALS | {"allow-origin": APP}, "Origin"),
    ("some", "null", {"allow-origin": "null"}, "Origin"),
    ("some", OTHER, {}, "Origin"),
    ("some", LISTED + ".evil.example", {}, "Origin"),
    ("some", LISTED + ":444", {}, "Origin"),
    ("some", "http://app.example", {}, "Origin"),
    ("both", LISTED, WITH_CREDENTIALS, "Origin"),
    ("both", OTHER, {"allow-origin": "*"}, "Origin"),
    ("both", "null", {"allow-origin": "*"}, "Origin"),
]


@pytest.mark.parametrize(
    "request_", [get("/api/stats"), get("/events"), post(notice()), post(b"{"), get("/nothing")],
    ids=["answer", "stream", "post", "refusal", "not-found"],
)  # fmt: skip
@pytest.mark.parametrize(("who", "origin", "grant", "vary"), GRANTS)
def test_answer_grants_what_is_set(
    hubs: dict[str, HubProcess],
    lane: tuple[str, ...],
    who: str,
    origin: str | None,
    grant: dict[str, str],
    vary: str | None,
    request_: bytes,
) -> None:
    answer = exchange(hubs[who].port, with_lines(request_, *of_origin(origin), *lane))
    assert granted(answer) == grant | ({"expose-headers": "Retry-After"} if grant else {})
    assert answer.headers.get("vary") == vary


def with_lines(request: bytes, *lines: str) -> bytes:
    """`request` with more header lines."""
    return request.replace(b"\r\n", "".join(["\r\n", *(f"{x}\r\n" for x in lines)]).encode(), 1)


def preflight(origin: str, asked: str | None, *lane: str, path: str = "/api/notify") -> bytes:
    asks = () if asked is None else (f"Access-Control-Request-Headers: {asked}",)
    return raw(
        f"OPTIONS {path} HTTP/1.1",
        *("Host: localhost", f"Origin: {origin}", "Access-Control-Request-Method: POST"),
        *(*asks, *lane),
    )


MANY = ",".join(f"x-{n}" for n in range(32))


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ("content-type", "content-type"),
        (
            "content-type,traceparent,sentry-trace,x-requested-with",
            "content-type,traceparent,sentry-trace,x-requested-with",
        ),
        ("X-Requested-With, Traceparent", "X-Requested-With, Traceparent"),
        (MANY, MANY),
        (MANY + ",x", USUAL),
        ("x" * 64, "x" * 64),
        ("x" * 65, USUAL),
        ("a b", USUAL),
        ("a,,b", USUAL),
        ("a;b", USUAL),
        ("é", USUAL),
        ("", USUAL),
        (None, USUAL),
    ],
)
@pytest.mark.parametrize(("who", "origin"), [("some", LISTED), ("some", "null"), ("any", OTHER)])
def test_preflight_grants_the_headers_that_are_asked_for_within_bounds(
    hubs: dict[str, HubProcess],
    lane: tuple[str, ...],
    who: str,
    origin: str,
    asked: str | None,
    allowed: str,
) -> None:
    answer = exchange(hubs[who].port, preflight(origin, asked, *lane))
    assert answer.status == 204
    assert answer.headers["access-control-allow-headers"] == allowed
    assert answer.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert answer.headers["access-control-max-age"] == "7200"
    vary = answer.headers["vary"].split(", ")
    assert vary == [*(["Origin"] if who == "some" else []), "Access-Control-Request-Headers"]
    assert ("access-control-allow-credentials" in answer.headers) == (origin == LISTED)


@pytest.mark.parametrize(
    ("who", "origin"), [("nobody", OTHER), ("some", OTHER), ("nobody", "null")]
)
def test_preflight_of_an_origin_that_is_not_listed_grants_nothing(
    hubs: dict[str, HubProcess], lane: tuple[str, ...], who: str, origin: str
) -> None:
    answer = exchange(hubs[who].port, preflight(origin, "content-type", *lane))
    assert (answer.status, answer.headers["allow"]) == (204, "POST, OPTIONS")
    assert granted(answer) == {}


@pytest.mark.parametrize("path", ["/metrics", "/metrics/"])
def test_metrics_are_shared_with_no_origin(
    start_hub: StartHub, hubs: dict[str, HubProcess], lane: tuple[str, ...], path: str
) -> None:
    (port,) = free_ports(1)
    start_hub("--cors-origin", "*", "--metrics-listen", f"127.0.0.1:{port}")
    for at in (hubs["any"].port, hubs["some"].port, port):
        for request in (
            get(path, f"Origin: {LISTED}", *lane),
            preflight(LISTED, "authorization", *lane, path=path),
        ):
            answer = exchange(at, request)
            assert answer.status in (200, 204)
            assert granted(answer) == {}
    assert granted(exchange(port, get("/nothing", f"Origin: {LISTED}", *lane))) == {}


FORM = "application/x-www-form-urlencoded"
UNASKED: list[tuple[str, str | None, tuple[str, ...], int]] = [
    # who is granted, the body's type, more header lines, the answer
    ("nobody", "text/plain", (), 415),
    ("nobody", "text/plain", ("Origin: http://localhost",), 415),
    ("nobody", "text/plain", ("Origin: https://localhost",), 415),  # TLS may end at a proxy
    ("nobody", "text/plain", ("Origin: https://hub.example",), 415),  # that of --public-url
    ("nobody", "text/plain", ("Origin: http://hub.example",), 403),
    ("nobody", "text/plain", ("Origin: http://localhost:5000",), 403),
    ("nobody", "text/plain", ("Sec-Fetch-Site: same-origin",), 415),
    ("nobody", "text/plain", ("Sec-Fetch-Site: none",), 415),
    ("nobody", "text/plain", ("Sec-Fetch-Site: cross-site",), 403),
    ("nobody", "text/plain", ("Origin: http://localhost", "Sec-Fetch-Site: cross-site"), 403),
    *[
        ("nobody", type, (f"Origin: {origin}",), 403)
        for type in (
            "text/plain",
            "text/plain; charset=utf-8",
            FORM,
            "multipart/form-data",
            "",
            None,
        )
        for origin in (OTHER, "null", "file://")
    ],
    ("nobody", "application/json; charset=latin-1", (f"Origin: {OTHER}",), 403),
    ("nobody", "application/json", (f"Origin: {OTHER}", "Sec-Fetch-Site: cross-site"), 200),
    ("nobody", "application/x-ndjson", (f"Origin: {OTHER}",), 200),
    ("some", "text/plain", (f"Origin: {LISTED}", "Sec-Fetch-Site: cross-site"), 415),
    ("some", "text/plain", ("Origin: null",), 415),
    ("some", "text/plain", (f"Origin: {OTHER}",), 403),
    ("any", "text/plain", (f"Origin: {OTHER}", "Sec-Fetch-Site: cross-site"), 415),
    ("any", FORM, ("Sec-Fetch-Site: cross-site",), 415),
]


@pytest.mark.parametrize(("who", "type", "lines", "status"), UNASKED)
def test_post_that_needs_no_preflight_is_judged_by_its_origin(
    hubs: dict[str, HubProcess],
    lane: tuple[str, ...],
    who: str,
    type: str | None,
    lines: tuple[str, ...],
    status: int,
) -> None:
    request = post(notice(), *lines, *lane, type=type)
    head, _, body = request.partition(b"\r\n\r\n")
    refused = 'tocsin_publish_rejected_total{reason="forbidden"}'
    before = hubs[who].metric(refused)
    for answer in (
        exchange(hubs[who].port, request),
        exchange(hubs[who].port, head + b"\r\n\r\n", then=body),
    ):
        assert answer.status == status
        if status == 403:
            assert answer.json["code"] == "foreign_origin"
            assert "--cors-origin" in answer.json["error"]
            assert answer.closed
    assert hubs[who].metric(refused) == before + (2 if status == 403 else 0)


@pytest.mark.parametrize(("path", "status"), [("/nothing", 405), ("/events", 405), ("/", 405)])
def test_path_that_takes_no_post_says_so_to_every_origin(
    hubs: dict[str, HubProcess], lane: tuple[str, ...], path: str, status: int
) -> None:
    request = raw(
        f"POST {path} HTTP/1.1",
        *("Host: localhost", f"Origin: {OTHER}", "Content-Type: text/plain", "Content-Length: 2"),
        *lane,
        body=b"{}",
    )
    assert exchange(hubs["nobody"].port, request).status == status


HOSTS: list[tuple[str, str, bool]] = [
    ("nobody", "localhost", True),
    ("nobody", "localhost:3000", True),
    ("nobody", "LocalHost.:1", True),
    ("nobody", "127.0.0.1:80", True),
    ("nobody", "[::1]", True),
    ("nobody", "[::1]:3000", True),
    ("nobody", "hub.example", True),  # that of --public-url
    ("nobody", "hub.example:8443", True),
    ("nobody", "evil.example", False),
    ("nobody", "evil.example:3000", False),
    ("nobody", "localhost.evil.example", False),
    ("nobody", "a.localhost", False),
    ("nobody", "127.0.0.1.evil.example", False),
    ("nobody", "sub.hub.example", False),
    ("nobody", "[::2]", False),
    ("nobody", "hub.internal", False),
    ("some", "hub.internal:80", True),  # an --allowed-host
    ("some", "HUB.internal", True),
    ("some", "hub.example", False),
]


def at_host(request: bytes, host: str, *lines: str) -> bytes:
    return with_lines(request.replace(b"Host: localhost\r\n", f"Host: {host}\r\n".encode()), *lines)


@pytest.mark.parametrize(
    "request_",
    [get("/healthz"), get("/"), get("/events"), get("/metrics"), get("/nothing"), post(notice()),
     raw("OPTIONS /api/notify HTTP/1.1", "Host: localhost")],
    ids=["health", "page", "stream", "metrics", "nothing", "post", "preflight"],
)  # fmt: skip
@pytest.mark.parametrize(("who", "host", "is_taken"), HOSTS)
def test_host_is_taken_or_refused_on_every_route(
    hubs: dict[str, HubProcess],
    lane: tuple[str, ...],
    who: str,
    host: str,
    is_taken: bool,
    request_: bytes,
) -> None:
    answer = exchange(hubs[who].port, at_host(request_, host, *lane))
    assert (answer.status != 421) == is_taken
    if not is_taken:
        assert answer.json["code"] == "unknown_host"
        assert all(
            word in answer.json["error"] for word in (host, "--allowed-host", "--public-url")
        )
        assert answer.closed


def test_refused_host_is_counted_and_logged_with_the_settings(
    start_hub: StartHub, lane: tuple[str, ...]
) -> None:
    hub = start_hub("--canary", "0")
    for request in (get("/events"), post(notice()), get("/healthz")):
        exchange(hub.port, at_host(request, "evil.example", *lane))
    for handler, method in (("events", "GET"), ("notify", "POST"), ("health", "GET")):
        labels = f'code="421",handler="{handler}",method="{method}"'
        assert hub.metric(f"tocsin_http_requests_total{{{labels}}}") == 1
    assert hub.metric('tocsin_publish_rejected_total{reason="forbidden"}') == 1
    assert hub.get("/api/stats")["published"] == 0
    wait_until(lambda: hub.log().count("host=evil.example") == 3)
    line = next(line for line in hub.log().splitlines() if "host=evil.example" in line)
    assert " WARNING " in line
    assert "public_url" in line
    assert "allowed_host" in line


def test_refused_hosts_do_not_flood_the_log(start_hub: StartHub) -> None:
    hub = start_hub("--canary", "0")
    for _ in range(400):
        exchange(hub.port, at_host(get("/healthz"), "evil.example"))
    wait_until(lambda: "host=evil.example" in hub.log())
    hub.stop()
    assert hub.log().count("host=evil.example") < 400


def test_request_without_a_host_is_taken(
    hubs: dict[str, HubProcess], lane: tuple[str, ...]
) -> None:
    assert exchange(hubs["nobody"].port, raw("GET /healthz HTTP/1.0", *lane)).status == 200


@pytest.mark.parametrize(
    "flags", [("--allowed-host", "*"), ("--insecure",), ("--host", "0.0.0.0", "--insecure")]
)
def test_any_host_is_taken_where_that_is_set(
    start_hub: StartHub, lane: tuple[str, ...], flags: tuple[str, ...]
) -> None:
    hub = start_hub("--canary", "0", *flags)
    for host in ("evil.example", "10.1.2.3:80", "localhost"):
        assert exchange(hub.port, at_host(get("/healthz"), host, *lane)).status == 200
    hub.stop()
    warnings = [line for line in hub.log().splitlines() if "insecure: everybody" in line]
    assert len(warnings) == ("--insecure" in flags)


def test_listener_of_the_metrics_judges_hosts_by_its_own_address(
    start_hub: StartHub, lane: tuple[str, ...]
) -> None:
    near, far = free_ports(2)
    start_hub("--metrics-listen", f"127.0.0.1:{near}")
    start_hub("--metrics-listen", f"0.0.0.0:{far}")
    request = at_host(get("/metrics"), "metrics.example", *lane)
    assert exchange(near, request).status == 421
    assert exchange(far, request).status == 200


async def test_canary_is_not_judged() -> None:
    async with serving(canary=0.02) as server:
        async with asyncio.timeout(20):
            while not server.hub.counters.canary_runs["ok"]:
                await asyncio.sleep(0.01)
        assert server.hub.counters.canary_runs["failed"] == 0


async def test_hub_within_another_application_judges_no_host() -> None:
    hub = Hub(Settings())
    await hub.start()
    listening, port = bind_unused_port()
    http = HTTPServer(Application([*routes(hub)]))
    http.add_sockets([listening])
    answer = await asyncio.to_thread(exchange, port, at_host(get("/healthz"), "shop.example"))
    assert answer.status == 200
    http.stop()
    await http.close_all_connections()
    await hub.stop()


def request(host: str, **more: Any) -> Request:
    return Request("GET", "/", headers={"host": host}, **more)


def test_spellings_of_a_host_that_are_remembered_are_bounded() -> None:
    hosts = Hosts(frozenset({"localhost"}))
    for port in range(10 * MAX_KNOWN):
        hosts.check(request(f"localhost:{port}"))
        assert len(hosts._known) <= MAX_KNOWN


@pytest.mark.parametrize(
    "host", ["a b", "localhost@evil", "localhost/x", "é", "[", ":", ":80", "."]
)
def test_malformed_host_is_refused(host: str) -> None:
    with pytest.raises(Refused):
        Hosts(frozenset({"localhost"})).check(request(host))


def test_long_host_is_shown_in_part() -> None:
    with pytest.raises(Refused) as refused:
        Hosts(frozenset({"localhost"})).check(request("x" * 5_000))
    assert len(refused.value.message) < 400
