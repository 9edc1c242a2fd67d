"""Who may do what, over real sockets and by both lanes."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import socket
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tornado.web import Application

from tests.access.keys import SECRET, KeyFile, bearer, token
from tests.access.test_tokens import BAD
from tests.hub_process import HubProcess
from tests.patience import wait_until
from tests.raw import Answer, exchange, get, notice, post, raw, read_answer
from tests.serving import StreamClient, eventually, publish, serving
from tocsin import Draft, Hub, Settings, routes
from tocsin.http.fast_lane import _known_heads, known_head
from tocsin.http.http1 import read_head

LANES = {"fast": (), "tornado": ("Upgrade: x",)}
NONE = "Content-Length: 0"
HOST = "Host: localhost"
EVIL = "Origin: https://evil.example"
PARTNER = "https://app.example"


class GuardedHub(HubProcess):
    """A hub with a file of keys."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.keys = keys = KeyFile(folder)
        self.ci = keys.add("ci", publish=["ci/*"], subscribe=["ci/*", "news"])
        self.ops = keys.add("ops", admin=True, publish=["*"], subscribe=["*"])
        self.writer = keys.add("writer", publish=["*"])
        self.nothing = keys.add("nothing")
        self.jobs = keys.add("jobs", publish=["jobs/*", "ci/*"], end=["jobs/*"])
        super().__init__("--keys", keys.path, *flags, env={"TOCSIN_JWT_KEY": SECRET})

    def ask(self, request: bytes) -> Answer:
        return exchange(self.port, request)

    def refused(self, reason: str) -> float:
        sample = f'tocsin_access_refused_total{{reason="{reason}"}}'
        answer = self.ask(get("/metrics", self.ops))
        line = next(x for x in answer.body.decode().splitlines() if x.startswith(sample))
        return float(line.rpartition(" ")[2])


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedHub]:
    flags = ("--anonymous-subscribe", "public/*", "--anonymous-publish", "inbox")
    hub = GuardedHub(tmp_path_factory.mktemp("keys"), "--cors-origin", PARTNER, *flags)
    yield hub
    log = hub.log()
    assert "Traceback" not in log
    for secret in (*hub.keys.secrets.values(), SECRET):
        assert secret not in log
    hub.close()


@pytest.fixture(params=LANES)
def lane(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Header lines that send a request by this lane."""
    return LANES[request.param]


def post_none(path: str, *headers: str) -> bytes:
    return raw(f"POST {path} HTTP/1.1", HOST, NONE, *headers)


# --- publishing ------------------------------------------------------------------------------------


def test_key_publishes_on_its_topics_and_on_no_others(
    hub: GuardedHub, lane: tuple[str, ...]
) -> None:
    assert hub.ask(post(notice(topic="ci/1"), hub.ci, *lane)).status == 200
    answer = hub.ask(post(notice(topic="ops"), hub.ci, *lane))
    assert answer.status == 403
    assert answer.json["code"] == "forbidden"
    assert answer.json["field"] == "topic"
    assert "ops" in answer.json["error"]


def test_batch_is_published_whole_or_not_at_all(hub: GuardedHub, lane: tuple[str, ...]) -> None:
    body = b"[" + notice(topic="ci/whole") + b"," + notice(topic="ops") + b"]"
    answer = hub.ask(post(body, hub.ci, *lane))
    assert answer.status == 403
    assert answer.json["index"] == 1
    assert hub.ask(get("/api/history?topic=ci/whole", hub.ci)).json["events"] == []


def test_who_says_nothing_may_do_what_everybody_may(hub: GuardedHub, lane: tuple[str, ...]) -> None:
    assert hub.ask(post(notice(topic="inbox"), *lane)).status == 200
    answer = hub.ask(post(notice(topic="ci/1"), *lane))
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="tocsin"'
    assert hub.ask(get("/api/history?topic=public/a", *lane)).status == 200
    assert hub.ask(get("/api/history?topic=ci/1", *lane)).status == 401


def test_who_may_publish_on_a_topic_may_not_end_it(
    hub: GuardedHub, lane: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    before = hub.refused("end")
    job = f"jobs/{request.node.callspec.id}"
    final = {"topic": job, "final": True}
    writer, jobs = hub.writer, hub.jobs
    refused = hub.ask(post(notice(**final), writer, *lane))
    assert (refused.status, refused.json["code"], refused.json["field"]) == (
        403,
        "forbidden",
        "topic",
    )
    batch = b"[%b,%b]" % (notice(topic=job), notice(**final))
    refused = hub.ask(post(batch, writer, *lane))
    assert (refused.status, refused.json["index"]) == (403, 1)
    both = notice(topics=[job, "ci/1"], final=True)  # it has to have the right to all of them
    refused = hub.ask(post(both, jobs, *lane))
    assert (refused.status, "'ci/1'" in refused.json["error"]) == (403, True)
    anonymous = hub.ask(post(notice(topic="inbox", final=True), *lane))
    assert anonymous.status == 401
    assert hub.refused("end") == before + 4
    assert hub.ask(post(notice(topic=job), writer, *lane)).status == 200
    assert hub.ask(post(notice(**final), jobs, *lane)).status == 200
    refused = hub.ask(post(notice(topic=job), writer, *lane))
    assert (refused.status, refused.json["code"]) == (409, "topic_ended")


def test_key_without_a_right_to_publish_is_refused_before_its_body_is_read(
    hub: GuardedHub, lane: tuple[str, ...]
) -> None:
    head = post(notice(), hub.nothing, *lane).replace(b"Length: ", b"Length: 99")
    answer = hub.ask(head)
    assert answer.status == 403
    assert answer.closed


async def test_principal_of_an_event_is_in_its_draft(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path)
    key = keys.add("ci", publish=["*"])
    drafts: list[Draft] = []
    async with serving(keys=keys.path) as server:
        enqueue = server.hub.enqueue

        def watched(given: Sequence[Draft], *more: Any) -> None:
            drafts.extend(given)
            enqueue(given, *more)

        server.hub.enqueue = watched  # type: ignore[method-assign, assignment]
        await asyncio.to_thread(exchange, server.port, post(notice(), key))
        batch = post(b"[" + notice() + b"]", key)
        await asyncio.to_thread(exchange, server.port, batch)
    assert [draft.principal for draft in drafts] == ["key:ci", "key:ci"]


# --- bad credentials -------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["ticket=x", "t%69cket=x", "topic=public/a&%74icket=x"])
def test_ticket_is_never_overlooked_however_its_name_is_spelt(
    hub: GuardedHub, lane: tuple[str, ...], query: str
) -> None:
    for path in ("/events", "/api/history"):
        assert hub.ask(get(f"{path}?{query}", *lane)).status == 401


@pytest.mark.parametrize("seconds", [1_900_000_000_000, 10**17, 1e300])
def test_token_may_end_later_than_calendars_do(hub: GuardedHub, seconds: float) -> None:
    """As one does whose maker counts in milliseconds."""
    bearing = bearer(token(exp=seconds))
    assert hub.ask(get("/api/session", bearing)).json["expires"].startswith("9999-12-31T")
    assert hub.ask(post_none("/api/session", bearing)).status == 200


@pytest.mark.parametrize("name", BAD)
def test_bad_token_gets_401_and_never_what_everybody_may(
    hub: GuardedHub, lane: tuple[str, ...], name: str
) -> None:
    bad = bearer(BAD[name][0])
    for request in (
        post(notice(topic="inbox"), bad, *lane),
        get("/events?topic=public/a", bad, *lane),
        get("/api/history?topic=public/a", bad, *lane),
        get("/api/stats", bad, *lane),
    ):
        answer = hub.ask(request)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="tocsin", error="invalid_token"'
        assert answer.json["error"] == "the credentials are not valid, or no longer"


@pytest.mark.parametrize(
    ("credentials", "reason"),
    [
        (("Authorization: Basic YTpi",), "malformed"),
        (("Authorization: Bearer",), "malformed"),
        (("Authorization: Bearer a", "Authorization: Bearer b"), "malformed"),
        (("Authorization: Bearer tocsin_no-such-key",), "unknown"),
        (("Cookie: tocsin_session=x.y",), "invalid"),
        (("Cookie: a=b; tocsin_session=",), ""),
    ],
)
def test_credentials_that_are_none_are_refused_and_counted_by_reason(
    hub: GuardedHub, lane: tuple[str, ...], credentials: tuple[str, ...], reason: str
) -> None:
    before = hub.refused(reason) if reason else 0
    answer = hub.ask(get("/api/history?topic=public/a", *credentials, *lane))
    assert answer.status == (401 if reason else 200)
    if reason:
        assert hub.refused(reason) == before + 1


def test_open_routes_answer_everybody_whatever_they_bear(
    hub: GuardedHub, lane: tuple[str, ...]
) -> None:
    for path in ("/", "/js/app.js", "/healthz", "/readyz"):
        for credentials in ((), (bearer("nonsense"),), ("Cookie: tocsin_session=x",)):
            assert hub.ask(get(path, *credentials, *lane)).status == 200
    preflight = raw("OPTIONS /api/notify HTTP/1.1", HOST, f"Origin: {PARTNER}", *lane)
    assert hub.ask(preflight).status == 204
    assert hub.ask(get("/nothing", bearer("nonsense"), *lane)).status == 404


def test_any_host_is_taken_with_authentication(hub: GuardedHub, lane: tuple[str, ...]) -> None:
    request = get("/api/history?topic=news", hub.ci, *lane)
    assert hub.ask(request.replace(b"localhost", b"hub.example")).status == 200


def test_head_with_credentials_is_kept_by_nobody() -> None:
    for line in ("Authorization: Bearer x", "Cookie: a=b"):
        head = read_head(post(b"{}", line).partition(b"\r\n\r\n")[0])
        assert head
        assert not head.is_repeated
    request = post(b"{}").replace(b"/api/notify", b"/api/notify?ticket=x")
    head = read_head(request.partition(b"\r\n\r\n")[0])
    assert head
    assert not head.is_repeated


@pytest.mark.parametrize(
    "lines",
    [
        ("Authorization: Bearer a-token",),
        ("authorization:Bearer a-token",),
        ("Authorization: Bearer a-token", "X-More: 1"),
        ("Authorization: Bearer a-token", "Authorization: Bearer a-token"),
        ("Authorization: Bearer a-token", "AUTHORIZATION: Basic a-token"),
        ("Authorization: Bearer a-token", " folded"),
        ("Authorization: Bearer a-token, more",),
        ("Authorization: Bearer a-token", "Cookie: a-token=a-token"),
        ("Authorization: Basic a-token",),
        ("Authorization: Bearer a-token", "bad line"),
        ("X-A: 1\nAuthorization: Bearer a-token",),
    ],
)
def test_head_with_a_token_is_read_as_any_and_nothing_of_the_token_is_kept(
    lines: tuple[str, ...],
) -> None:
    head = post(b"{}", *lines).partition(b"\r\n\r\n")[0]
    for _ in range(2):
        assert known_head(head) == read_head(head)
    other = head.replace(b"a-token", b"another")
    assert known_head(other) == read_head(other)
    assert "a-token" not in repr(_known_heads)


def test_key_of_one_request_is_not_anothers_on_the_same_connection(hub: GuardedHub) -> None:
    with socket.create_connection(("127.0.0.1", hub.port), timeout=20) as connection:
        received = b""
        with_key, bad = (
            post(notice(topic="ci/1"), hub.ci),
            post(notice(topic="ci/1"), bearer("bad")),
        )
        requests = (with_key, with_key, post(notice(topic="ci/1")), with_key, bad, with_key, bad)
        for request in requests:
            connection.sendall(request)
        while received.count(b"HTTP/1.1 ") < len(requests):
            received += connection.recv(65_536)
    found = [int(answer.split()[0]) for answer in received.split(b"HTTP/1.1 ")[1:]]
    assert found == [200, 200, 401, 200, 401, 200, 401]


def test_token_that_a_connection_remembers_is_let_go_with_it(hub: GuardedHub) -> None:
    with_key = post(notice(topic="ci/1"), hub.ci)
    with (
        socket.create_connection(("127.0.0.1", hub.port), timeout=20) as connection,
        socket.create_connection(("127.0.0.1", hub.port), timeout=20) as other,
    ):
        for _ in range(2):
            connection.sendall(with_key)
            assert read_answer(connection).status == 200
        other.sendall(with_key.replace(hub.ci.encode(), b"X-Not: " + b"x" * (len(hub.ci) - 7)))
        assert read_answer(other).status == 401


# --- reading ---------------------------------------------------------------------------------------


def test_history_holds_what_may_be_read_and_tells_nothing_of_the_rest(
    hub: GuardedHub, lane: tuple[str, ...]
) -> None:
    for topic in ("ci/history", "secret", "news"):
        assert hub.ask(post(notice(topic=topic), hub.writer)).status == 200
    page = hub.ask(get("/api/history", hub.ci, *lane)).json
    assert {"ci/history", "news"} <= {event["topic"] for event in page["events"]}
    assert "secret" not in {event["topic"] for event in page["events"]}
    assert (page["head"], page["oldest"]) == (None, None)
    gap = hub.ask(get("/api/history?after=1-1", hub.ci, *lane)).json["gap"]
    assert (gap["reason"], gap["oldest"], gap["missed"]) == ("restart", None, None)
    assert hub.ask(get("/api/history?topic=secret", hub.ci, *lane)).status == 403
    assert hub.ask(get("/api/history", hub.writer, *lane)).status == 403
    assert hub.ask(get("/api/history", hub.ops, *lane)).json["head"]


def test_stats_tell_nothing_that_counts_over_foreign_topics(
    hub: GuardedHub, lane: tuple[str, ...]
) -> None:
    stats = hub.ask(get("/api/stats", hub.ci, *lane)).json
    hidden = ("head", "oldest", "oldestTime", "history", "window", "published", "delivered")
    assert [stats[name] for name in hidden] == [None] * len(hidden)
    assert stats["time"]
    assert hub.ask(get("/api/stats", hub.ops, *lane)).json["published"] > 0
    assert hub.ask(get("/api/stats", hub.writer, *lane)).status == 403


async def test_stream_gets_what_may_be_read_and_is_told_which_topics_that_is(
    tmp_path: Path,
) -> None:
    keys = KeyFile(tmp_path)
    ci = keys.add("ci", subscribe=["ci/*", "news"]).partition(": ")[2]
    async with serving(keys=keys.path) as server:
        await publish(server, topic="secret")
        await publish(server, topic="ci/0")
        for query, topics in (
            ("", ["ci/*", "news"]),
            ("?topic=ci/a&topic=secret", ["ci/a"]),
            ("?topic=*&last_event_id=earliest", ["ci/*", "news"]),
        ):
            client = await StreamClient.open(server, query, Authorization=ci)
            welcome = (await client.next()).json
            assert welcome["topics"] == topics
            if "earliest" in query:
                assert welcome["replayed"] == 3
                await client.take(3)
            await publish(server, topic="secret")
            [id] = await publish(server, topic="ci/a")
            assert (await client.next()).last_event_id == id
        refused = await StreamClient.open(server, "?topic=secret", Authorization=ci)
        assert refused.status == 403


async def test_gap_tells_nothing_of_foreign_topics(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path)
    ci = keys.add("ci", subscribe=["ci/*"]).partition(": ")[2]
    everything = keys.add("all", subscribe=["*"]).partition(": ")[2]
    async with serving(keys=keys.path, history_events=5) as server:
        [first] = await publish(server, topic="ci/0")
        await publish(server, 5, topic="ci/0")
        await publish(server, 100, topic="secret")
        for credentials, told in ((ci, (None, None)), (everything, (None, 1))):
            client = await StreamClient.open(
                server, f"?last_event_id={first}", Authorization=credentials
            )
            welcome, gap = (event.json for event in await client.take(2))
            assert gap["reason"] == "evicted"
            if told[1] is None:
                assert (welcome["missed"], gap["missed"], gap["oldest"]) == (None, None, None)
            else:
                assert welcome["missed"] == gap["missed"] >= told[1]
                assert gap["oldest"]


async def test_what_is_replayed_is_judged_by_the_rights_of_now(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path)
    ci = keys.add("ci", subscribe=["*"]).partition(": ")[2]
    async with serving(keys=keys.path) as server:
        [cursor] = await publish(server, topic="ci/0")
        client = await StreamClient.open(server, Authorization=ci)
        await client.next()
        keys.remove("ci")
        narrowed = keys.add("ci", subscribe=["ci/*"]).partition(": ")[2]
        await server.reload()
        assert [event.type for event in await client.read_to_end()] == ["busy"]
        await publish(server, topic="secret")
        [id] = await publish(server, topic="ci/1")
        again = await StreamClient.open(server, Authorization=narrowed, Last_Event_ID=cursor)
        await again.next()
        assert (await again.next()).last_event_id == id


async def test_canary_is_not_asked_who_it_is(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path)
    async with serving(keys=keys.path, canary=0.05) as server:
        await eventually(lambda: server.hub.counters.canary_runs["ok"] > 1)
        assert server.hub.counters.canary_runs["failed"] == 0


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Where connections are taken, and nobody answers until it is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def key_set_at(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}/keys"


async def test_bodies_that_wait_for_a_key_set_keep_the_bound_of_bodies(
    lane: tuple[str, ...], silent: socket.socket
) -> None:
    text = token(sub="x" * 10, key=SECRET, kid="unknown")
    body = notice(message="x" * 50_000)
    async with serving(jwt_jwks=key_set_at(silent), max_bodies_bytes=65_536) as server:
        request = post(body, bearer(text), *lane)
        waiting = asyncio.ensure_future(asyncio.to_thread(exchange, server.port, request))
        edge = server._listener.edge
        await eventually(lambda: edge.answering and edge.bodies.held)
        answer = await asyncio.to_thread(exchange, server.port, request)
        assert (answer.status, answer.json["code"]) == (503, "busy")
        silent.close()
        assert (await waiting).json["code"] == "no_key_set"
        assert edge.bodies.held == 0


async def test_request_that_was_refused_late_is_let_go_at_once(
    silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.access.key_sets.FETCH_S", 0.2)
    text = token(sub="x" * 10, key=SECRET, kid="unknown")
    held: list[weakref.ref[Any]] = []

    class Headers(dict[str, str]):
        """A part of the request that can be watched."""

    def watched(given: Any) -> Any:
        headers = Headers(given.headers)
        held.append(weakref.ref(headers))
        return msgspec.structs.replace(given, headers=headers)

    async with serving(jwt_jwks=key_set_at(silent), canary=0) as server:
        edge = server._listener.edge
        answer = edge.answer
        edge.answer = lambda request: answer(watched(request))  # type: ignore[method-assign]
        gc.collect()
        gc.disable()
        try:
            done = await asyncio.to_thread(exchange, server.port, post(notice(), bearer(text)))
            assert done.status == 503
            await eventually(lambda: held and held[0]() is None)
        finally:
            gc.enable()


async def test_ticket_is_in_no_log_of_an_application_that_the_hub_is_mounted_into(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    hub = Hub(Settings(keys=KeyFile(tmp_path).path))
    await hub.start()
    server = Application(routes(hub)).listen(0, "127.0.0.1")
    port = next(iter(server._sockets.values())).getsockname()[1]
    for path in ("/api/history", "/events", "/none"):
        request = get(f"{path}?ticket=a-secret-ticket")
        await asyncio.to_thread(exchange, port, request)
    server.stop()
    await hub.stop()
    await server.close_all_connections()
    assert "GET /api/history (127.0.0.1)" in caplog.text
    assert "a-secret-ticket" not in caplog.text


# --- tickets and sessions --------------------------------------------------------------------------


def test_ticket_opens_streams_and_pages_and_nothing_else(
    hub: GuardedHub, lane: tuple[str, ...]
) -> None:
    given = hub.ask(post_none("/api/ticket", hub.ci, *lane)).json
    ticket = given["ticket"]
    assert given["events"] == f"events?ticket={ticket}"
    assert hub.ask(get(f"/events?ticket={ticket}", *lane)).status == 200
    assert hub.ask(get(f"/api/history?ticket={ticket}&topic=news", *lane)).status == 200
    for request in (
        get(f"/api/stats?ticket={ticket}", *lane),
        get(f"/api/session?ticket={ticket}", *lane),
        get(f"/api/streams?ticket={ticket}", *lane),
        post_none(f"/api/ticket?ticket={ticket}", *lane),
        post_none(f"/api/session?ticket={ticket}", *lane),
        post(notice(topic="inbox"), *lane).replace(b"/notify", f"/notify?ticket={ticket}".encode()),
    ):
        assert hub.ask(request).status == 401
    assert hub.ask(get(f"/api/history?topic=public/a&ticket={ticket}x", *lane)).status == 401
    assert ticket not in hub.log()


def test_ticket_is_given_for_credentials_that_may_read(
    hub: GuardedHub, lane: tuple[str, ...]
) -> None:
    assert hub.ask(post_none("/api/ticket", *lane)).status == 401
    assert hub.ask(post_none("/api/ticket", hub.writer, *lane)).status == 403
    granted = hub.ask(post_none("/api/ticket", hub.ci, f"Origin: {PARTNER}", *lane))
    assert granted.headers["access-control-allow-origin"] == PARTNER


def test_ticket_that_tornado_complains_of_is_in_no_log(hub: GuardedHub) -> None:
    """It logs the address of what it can't decode, at WARNING."""
    before = hub.log().count("\n")
    hub.ask(get("/events?ticket=a-secret-ticket&topic=%ff", "Upgrade: x"))
    hub.ask(get("/%ff?ticket=a-secret-ticket", "Upgrade: x"))
    hub.ask(raw("BREW /events?ticket=a-secret-ticket HTTP/1.1", HOST))
    hub.ask(get("/healthz"))
    assert "a-secret-ticket" not in hub.log()
    assert hub.log().count("\n") >= before


def cookie_of(answer: Answer) -> str:
    assert answer.status == 200
    return "Cookie: " + answer.headers["set-cookie"].partition(";")[0]


def test_session_is_a_cookie_that_no_script_and_no_other_site_gets(
    hub: GuardedHub, lane: tuple[str, ...]
) -> None:
    answer = hub.ask(post_none("/api/session", hub.ci, *lane))
    attributes = answer.headers["set-cookie"].split("; ")[1:]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    cookie = cookie_of(answer)
    assert hub.ask(post(notice(topic="ci/1"), cookie, *lane)).status == 200
    assert hub.ask(get("/events", cookie, *lane)).status == 200
    assert hub.ask(get("/api/session", cookie, *lane)).json["principal"] == "key:ci"
    ended = hub.ask(raw("DELETE /api/session HTTP/1.1", HOST, "Cookie: tocsin_session=x", *lane))
    assert ended.status == 204
    assert "Max-Age=0" in ended.headers["set-cookie"]


FROM_ELSEWHERE = [
    (EVIL,),
    ("Origin: null",),
    ("Sec-Fetch-Site: cross-site",),
    ("Sec-Fetch-Site: same-site",),
    ("Origin: http://localhost:1", "Sec-Fetch-Site: same-site"),
    ("Origin: http://localhost", "Sec-Fetch-Site: cross-site"),
]


@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
def test_cookie_that_a_page_of_another_origin_had_sent_is_refused_whatever_the_method(
    hub: GuardedHub, lane: tuple[str, ...], headers: tuple[str, ...]
) -> None:
    cookie = cookie_of(hub.ask(post_none("/api/session", hub.ci)))
    before = hub.refused("origin")
    for request in (
        get("/events", cookie, *headers, *lane),
        get("/api/history", cookie, *headers, *lane),
        post(notice(topic="ci/1"), cookie, *headers, *lane),
        post_none("/api/session", cookie, *headers, *lane),
    ):
        answer = hub.ask(request)
        assert answer.status == 403
        assert not any(name.startswith("access-control") for name in answer.headers)
    assert hub.refused("origin") - before >= 3


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("Sec-Fetch-Site: same-origin",),
        ("Sec-Fetch-Site: none",),
        ("Origin: http://localhost", "Sec-Fetch-Site: same-origin"),
        ("Origin: https://localhost",),
        (f"Origin: {PARTNER}", "Sec-Fetch-Site: same-site"),
    ],
)
def test_cookie_of_the_hubs_own_page_or_of_a_listed_one_is_taken(
    hub: GuardedHub, headers: tuple[str, ...]
) -> None:
    cookie = cookie_of(hub.ask(post_none("/api/session", hub.ci)))
    assert hub.ask(get("/api/history", cookie, *headers)).status == 200


@pytest.mark.parametrize("headers", [*FROM_ELSEWHERE, (f"Origin: {PARTNER}",)])
def test_session_is_opened_and_ended_by_the_hubs_own_pages_alone(
    hub: GuardedHub, lane: tuple[str, ...], headers: tuple[str, ...]
) -> None:
    assert hub.ask(post_none("/api/session", hub.ci, *headers, *lane)).status == 403
    ended = raw("DELETE /api/session HTTP/1.1", HOST, *headers, *lane)
    assert hub.ask(ended).status == 403


def test_cookie_is_secure_and_below_the_path_of_a_public_url(tmp_path: Path) -> None:
    hub = GuardedHub(tmp_path, "--public-url", "https://hub.example/tocsin")
    try:
        own = ("Origin: https://hub.example", "Sec-Fetch-Site: same-origin")
        answer = hub.ask(post_none("/api/session", hub.ci, *own))
        assert {"Secure", "Path=/tocsin"} <= set(answer.headers["set-cookie"].split("; "))
    finally:
        hub.close()


def test_session_says_what_its_bearer_may_do(hub: GuardedHub, lane: tuple[str, ...]) -> None:
    assert hub.ask(get("/api/session", hub.ci, *lane)).json == {
        "authentication": True,
        "principal": "key:ci",
        "publish": ["ci/*"],
        "subscribe": ["ci/*", "news"],
        "end": [],
        "admin": False,
        "expires": None,
    }
    nobody = hub.ask(get("/api/session", *lane)).json
    assert (nobody["principal"], nobody["publish"]) == (None, ["inbox"])
    assert hub.ask(get("/api/session", bearer("bad"), *lane)).status == 401


def test_hub_without_authentication_says_so_and_gives_neither(lane: tuple[str, ...]) -> None:
    hub = HubProcess("--canary", "0")
    try:
        ask = exchange(hub.port, get("/api/session", bearer("whatever"), *lane))
        assert (ask.json["authentication"], ask.json["publish"]) == (False, ["*"])
        for path in ("/api/session", "/api/ticket"):
            answer = exchange(hub.port, post_none(path, *lane))
            assert (answer.status, answer.json["code"]) == (409, "no_authentication")
        assert exchange(hub.port, get("/api/history?ticket=x", *lane)).status == 200
    finally:
        hub.close()


# --- the end ---------------------------------------------------------------------------------------


async def test_stream_ends_when_its_token_does_and_says_so() -> None:
    async with serving(jwt_key=SECRET) as server:
        text = token(lifetime_s=2, tocsin={"subscribe": ["*"]})
        client = await StreamClient.open(server, Authorization=f"Bearer {text}")
        lasting = token(tocsin={"subscribe": ["*"]})
        other = await StreamClient.open(server, Authorization=f"Bearer {lasting}")
        *_, last = await client.read_to_end()
        assert (last.type, last.json["reason"]) == ("busy", "expired")
        assert server.hub.counters.closed["expired"] == 1
        again = await StreamClient.open(server, Authorization=f"Bearer {text}")
        assert again.status == 401
        assert (await other.next()).type == "connection"
        assert len(server.hub.streams) == 1


async def test_stream_of_a_ticket_ends_with_the_token_that_it_was_given_for() -> None:
    async with serving(jwt_key=SECRET) as server:
        text = token(lifetime_s=2, tocsin={"subscribe": ["*"]})
        request = post_none("/api/ticket", bearer(text))
        ticket = (await asyncio.to_thread(exchange, server.port, request)).json["ticket"]
        client = await StreamClient.open(server, f"?ticket={ticket}")
        *_, last = await client.read_to_end()
        assert last.json["reason"] == "expired"
        assert (await StreamClient.open(server, f"?ticket={ticket}")).status == 401


async def test_reader_that_takes_nothing_is_cut_off_when_its_token_ends() -> None:
    async with serving(jwt_key=SECRET, slow_client_timeout=60.0) as server:
        text = token(lifetime_s=3, tocsin={"subscribe": ["*"]})
        await StreamClient.open(server, Authorization=f"Bearer {text}")
        [stream] = server.hub.streams.values()
        large = Draft("notification", b'"' + b"x" * 60_000 + b'"')
        for _ in range(200):
            await server.hub.publish(*[large] * 5)
        await eventually(lambda: server.hub.lagging)
        await eventually(lambda: not server.hub.streams)
        assert server.hub.counters.closed["expired"] == 1
        assert stream.state.name == "CLOSED"


def test_revoked_key_ends_its_streams_and_others_go_on(tmp_path: Path) -> None:
    hub = GuardedHub(tmp_path)
    try:
        with (
            socket.create_connection(("127.0.0.1", hub.port), timeout=20) as revoked,
            socket.create_connection(("127.0.0.1", hub.port), timeout=20) as other,
            socket.create_connection(("127.0.0.1", hub.port), timeout=20) as by_ticket,
            socket.create_connection(("127.0.0.1", hub.port), timeout=20) as publisher,
        ):
            ticket = hub.ask(post_none("/api/ticket", hub.ci)).json["ticket"]
            revoked.sendall(get("/events", hub.ci))
            other.sendall(get("/events", hub.ops))
            by_ticket.sendall(get(f"/events?ticket={ticket}"))
            for each in (revoked, other, by_ticket):
                _read_until(each, b"event: connection")
            publisher.sendall(post(notice(topic="ci/1"), hub.ci))
            assert read_answer(publisher).status == 200
            hub.keys.remove("ci")
            began = time.monotonic()
            hub.signal(signal.SIGHUP)
            for each in (revoked, by_ticket):
                assert b'"reason":"revoked"' in _read_until(each, b"0\r\n\r\n")
            assert time.monotonic() - began < 20
            publisher.sendall(post(notice(topic="ci/1"), hub.ci))  # of a head that it remembers
            assert read_answer(publisher).status == 401
            assert hub.ask(get("/api/history", hub.ci)).status == 401
            assert hub.ask(get(f"/api/history?ticket={ticket}")).status == 401
            assert hub.ask(post(notice(), hub.ops)).status == 200
            _read_until(other, b"event: notification")
    finally:
        hub.close()


def test_broken_file_of_keys_keeps_the_old_ones_with_a_line_in_the_log(tmp_path: Path) -> None:
    hub = GuardedHub(tmp_path)
    try:
        Path(hub.keys.path).write_text("[ci")
        hub.signal(signal.SIGHUP)
        wait_until(lambda: "the keys stay as they were" in hub.log())
        assert hub.ask(get("/api/history", hub.ci)).status == 200
    finally:
        hub.close()


def _read_until(connection: socket.socket, mark: bytes) -> bytes:
    received = b""
    while mark not in received:
        piece = connection.recv(65_536)
        assert piece, received
        received += piece
    return received


# --- operators -------------------------------------------------------------------------------------


async def test_operator_sees_who_is_connected_page_by_page_and_ends_one(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path)
    ci, ops = keys.add("ci", subscribe=["ci/*"]), keys.add("ops", admin=True)
    async with serving(keys=keys.path) as server:

        async def ask(request: bytes) -> Answer:
            return await asyncio.to_thread(exchange, server.port, request)

        bears = ci.partition(": ")[2]
        clients = [
            await StreamClient.open(server, "?type=a", Authorization=bears) for _ in range(3)
        ]
        await publish(server, 3, topic="elsewhere")  # nobody lags for what is for others
        page = (await ask(get("/api/streams?limit=2", ops))).json
        assert [stream["number"] for stream in page["streams"]] == [1, 2]
        assert (page["next"], page["clients"]) == (2, 3)
        shown = page["streams"][0]
        assert (shown["principal"], shown["address"]) == ("key:ci", "127.0.0.1")
        assert (shown["topics"], shown["types"], shown["lag"]) == (["ci/*"], ["a"], 0)
        assert shown["age"] >= 0
        page = (await ask(get("/api/streams?after=2", ops))).json
        assert ([stream["number"] for stream in page["streams"]], page["next"]) == ([3], None)
        delete = raw("DELETE /api/streams?number=2 HTTP/1.1", HOST, ops)
        assert (await ask(delete)).status == 204
        *_, last = await clients[1].read_to_end()
        assert (last.type, last.json["reason"]) == ("busy", "operator")
        assert (await ask(delete)).status == 404
        assert set(server.hub.streams) == {1, 3}


@pytest.mark.parametrize("query", ["?limit=0", "?limit=501", "?after=x", "?limits=5"])
def test_bad_parameter_of_the_streams_is_named(hub: GuardedHub, query: str) -> None:
    assert hub.ask(get("/api/streams" + query, hub.ops)).status == 400


def test_operators_routes_are_for_operators_by_bearer_alone(
    hub: GuardedHub, lane: tuple[str, ...]
) -> None:
    cookie = cookie_of(hub.ask(post_none("/api/session", hub.ops)))
    for path in ("/api/streams", "/metrics"):
        assert hub.ask(get(path, hub.ops, *lane)).status == 200
        assert hub.ask(get(path, hub.ci, *lane)).status == 403
        assert hub.ask(get(path, cookie, *lane)).status == 403
        assert hub.ask(get(path, *lane)).status == 401
        shared = hub.ask(get(path, hub.ops, f"Origin: {PARTNER}", *lane))
        assert "access-control-allow-origin" not in shared.headers
    assert hub.ask(raw("DELETE /api/streams?number=1 HTTP/1.1", HOST, hub.ci, *lane)).status == 403


def test_metrics_take_their_token_beside_an_operators_key(
    tmp_path: Path, lane: tuple[str, ...]
) -> None:
    hub = GuardedHub(tmp_path, "--metrics-token", "0123456789abcdef")
    try:
        assert hub.ask(get("/metrics", bearer("0123456789abcdef"), *lane)).status == 200
        assert hub.ask(get("/metrics", hub.ops, *lane)).status == 200
        assert hub.ask(get("/metrics", hub.ci, *lane)).status == 403
        assert hub.ask(get("/api/history", bearer("0123456789abcdef"), *lane)).status == 401
    finally:
        hub.close()


# --- the audit -------------------------------------------------------------------------------------


def test_each_publish_and_stream_has_a_line_in_the_audit_log_if_it_is_asked_for(
    tmp_path: Path,
) -> None:
    flags = ("--audit-level", "info", "--log-level", "warning", "--log-format", "json")
    hub = GuardedHub(tmp_path, *flags)
    try:
        for number in range(150):  # more than there are lines of other logs a second
            assert hub.ask(post(notice(topic=f"ci/{number}"), hub.ci)).status == 200
        assert hub.ask(get("/events", hub.ci)).status == 200
        wait_until(lambda: hub.log().count('"tocsin.audit"') == 151)
        lines = [json.loads(line) for line in hub.log().splitlines() if "tocsin.audit" in line]
        assert {line["principal"] for line in lines} == {"key:ci"}
        published, opened = lines[0], lines[-1]
        assert (published["message"], published["topics"], published["events"]) == (
            "published",
            "ci/0",
            1,
        )
        assert (opened["message"], opened["topics"]) == ("stream opened", "ci/*,news")
    finally:
        hub.close()
