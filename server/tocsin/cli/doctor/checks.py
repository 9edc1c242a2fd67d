"""What the doctor tries, each on its own. A check gives findings, and fails at nothing but a hub that is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from statistics import median

import httpx

from tocsin.cli.doctor.finding import Finding, cure_of
from tocsin.cli.doctor.proxies import NO_HTTP, by_headers, by_refusal
from tocsin.cli.doctor.visit import Answered, OpenStream, Stop, Visit, Wrong

SLOW_S = 0.1
"""An event that is later than this is held back: HAProxy's delay is 0.12 to 0.22 s, a proxy's own work some ms."""

UNNOTICED_S = 2.0
"""By then a hub should know that a client has gone."""

LONGEST_HEARTBEAT_S = 60.0
SKEW_S = 2.0
BODY_BYTES = 2 * 1024 * 1024
EVENTS = 5

Findings = AsyncIterator[Finding]


async def check_reach(visit: Visit) -> Findings:
    """Whether there is a hub, how far its clock is off, and which proxy is before it.

    Raises:
        Stop: it takes nothing from this sender.
        Wrong: there is none that answers.
        httpx.HTTPError: no connection can be made.
    """
    before = time.time()
    answer = await visit.ask("GET", "/api/stats")
    took_s = time.time() - before
    visit.proxy = by_headers(answer.headers) or by_refusal(await visit.bytes_for(NO_HTTP))
    if answer.status == 421:
        yield Finding("reach", "wrong", _said(answer), cure_of("host", visit.proxy))
        raise Stop
    if answer.status in (401, 403) and answer.is_of_the_hub:
        yield Finding(
            "reach", "wrong", _said(answer), "give a key that may read, and publish: TOCSIN_TOKEN"
        )
        raise Stop
    if answer.status != 200 or "version" not in answer.json():
        raise Wrong(f"no hub answers: {_said(answer)}")
    seen = f"behind {visit.proxy}" if visit.proxy else "no proxy is recognised"
    yield Finding(
        "reach", "ok", f"Tocsin {answer.json()['version']}, {seen}, in {took_s * 1e3:.0f} ms"
    )
    yield clock_finding(answer.json().get("time"), before + took_s / 2, took_s)


def clock_finding(told: object, here: float, took_s: float) -> Finding:
    """How far the hub's clock is from this one's, of which half the time of the request is uncertain."""
    try:
        skew_s = datetime.fromisoformat(str(told)).timestamp() - here
    except ValueError:
        return Finding("clock", "skipped", "the hub tells no time")
    if abs(skew_s) > SKEW_S + took_s / 2:
        way = "ahead of" if skew_s > 0 else "behind"
        return Finding(
            "clock",
            "wrong",
            f"the hub's is {abs(skew_s):.0f} s {way} this one's",
            cure_of("clock", ""),
        )
    return Finding("clock", "ok", f"within {SKEW_S:.0f} s of this one's")


async def check_protocol(visit: Visit) -> Findings:
    """HTTP/2, which lets a browser have more than six streams to a host."""
    try:
        protocol = await visit.protocol()
    except (OSError, TimeoutError) as error:
        yield Finding("http2", "skipped", f"no TLS connection: {error}")
        return
    if protocol == "h2":
        yield Finding("http2", "ok", "offered: a browser may have many streams to this host")
        return
    what = "TLS offers HTTP/1.1 only" if protocol else "no TLS, so no HTTP/2"
    few = "a browser has six connections to a host, tabs together"
    yield Finding("http2", "note", f"{what}: {few}", cure_of("http2", visit.proxy))


async def check_delivery(visit: Visit) -> Findings:
    """Whether each event arrives while the stream is open, and when."""
    try:
        async with visit.stream() as stream:
            yield compression_finding(visit, stream)
            async for finding in _delivery(visit, stream):
                yield finding
    except Wrong as wrong:
        visit.is_held_back = True
        text = f"what the hub sends on a stream doesn't come: {wrong}"
        yield Finding("buffering", "wrong", text, cure_of("buffering", visit.proxy))


async def _delivery(visit: Visit, stream: OpenStream) -> Findings:
    """The same of a stream that is open.

    Raises:
        Wrong: an event doesn't come.
    """
    welcome = await stream.next()
    if welcome.type != "connection":
        visit.is_held_back = True
        yield Finding("buffering", "skipped", f"the hub opens no stream now: {welcome.data}")
        return
    visit.heartbeat_s = float(welcome.json().get("heartbeat", visit.heartbeat_s))
    delays_s = []
    for _ in range(EVENTS):
        try:
            id, _ = await visit.publish()
        except Wrong as wrong:
            yield Finding("buffering", "skipped", f"{wrong}: see --topic")
            return
        # The answer and the event leave the hub at once: so the way to the hub and its disk don't count.
        answered_at = time.monotonic()
        delays_s.append(await stream.next_of(id) - answered_at)
    yield delay_finding(visit, median(delays_s))


def delay_finding(visit: Visit, delay_s: float) -> Finding:
    """What the usual time from the answer to a publish to its event says."""
    after = f"{delay_s * 1e3:.0f} ms after the answer to its POST"
    text = f"each event arrives while the stream is open, {after}"
    if delay_s > SLOW_S:
        return Finding(
            "buffering", "wrong", f"{text}: it is held back", cure_of("delay", visit.proxy)
        )
    return Finding("buffering", "ok", text)


def compression_finding(visit: Visit, stream: OpenStream) -> Finding:
    """Whether a proxy compresses the stream, against `no-transform`."""
    encoding = stream.headers.get("content-encoding", "identity")
    if encoding == "identity":
        return Finding("compression", "ok", "none")
    text = f"{encoding}: events may be held back, and each costs more"
    return Finding("compression", "note", text, cure_of("compression", visit.proxy))


async def check_resume(visit: Visit) -> Findings:
    """Whether a client gets what it missed, by the header and by the address."""
    visit.new_topic()
    try:
        first, _ = await visit.publish()
        second, _ = await visit.publish()
    except Wrong as wrong:
        yield Finding("resume", "skipped", f"{wrong}: see --topic")
        return
    ways: dict[str, tuple[dict[str, str], dict[str, str]]] = {
        "the header Last-Event-ID": ({}, {"Last-Event-ID": first}),
        "last_event_id in the address": ({"last_event_id": first}, {}),
    }
    for name, (query, headers) in ways.items():
        try:
            async with visit.stream(query, headers) as stream:
                welcome = await stream.next()
                resumed = bool(welcome.json().get("resumed"))
                if resumed:
                    await stream.next_of(second)
        except Wrong as wrong:
            resumed, name = False, f"{name} ({wrong})"
        if not resumed:
            text = f"what was missed doesn't come: {name} has no effect"
            yield Finding("resume", "wrong", text, cure_of("resume", visit.proxy))
            return
    yield Finding("resume", "ok", "what was missed comes, by the header and by the address")


async def check_close(visit: Visit) -> Findings:
    """Whether the hub learns that a client has gone, before a heartbeat fails.

    How many streams are open for the visit's topic, which nobody else reads, is what a publish is told.
    """
    visit.new_topic()
    try:
        _, others = await visit.publish()
        async with visit.stream() as stream:
            await stream.next()
            id, with_it = await visit.publish()
            await stream.next_of(id)  # unread, it would have the proxy notice by itself
        await asyncio.sleep(UNNOTICED_S)  # once, as the event itself would have the proxy notice
        _, after = await visit.publish()
    except Wrong as wrong:
        yield Finding("close", "skipped", f"{wrong}: see --topic")
        return
    if with_it <= others:
        yield Finding(
            "close", "skipped", "the hub doesn't count this stream: others read the topic"
        )
    elif after >= with_it:
        text = f"{UNNOTICED_S:.0f} s after a client went, the hub still has its stream"
        yield Finding("close", "wrong", text, cure_of("close", visit.proxy))
    else:
        yield Finding("close", "ok", "the hub learns that a client has gone")


async def check_body(visit: Visit) -> Findings:
    """Whether a large batch reaches the hub: one without an event in it, which publishes nothing."""
    content = b"[" + b" " * BODY_BYTES + b"]"
    fields = {"Content-Type": "application/json"}
    try:
        answer = await visit.ask("POST", "/api/notify", headers=fields, content=content)
    except httpx.HTTPError as error:
        text = f"a batch of {BODY_BYTES // 2**20} MiB doesn't reach the hub: {error}"
        yield Finding("body", "wrong", text, cure_of("body", visit.proxy))
        return
    if answer.is_of_the_hub:
        yield Finding("body", "ok", f"a batch of {BODY_BYTES // 2**20} MiB reaches the hub")
        return
    text = f"a batch of {BODY_BYTES // 2**20} MiB doesn't reach the hub: {answer.status}"
    yield Finding("body", "wrong", text, cure_of("body", visit.proxy))


async def check_origin(visit: Visit, origin: str) -> Findings:
    """Whether a page of `origin` may read and publish."""
    if not origin:
        yield Finding("cors", "skipped", "no --origin is given, of a page elsewhere that reads")
        return
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,last-event-id",
    }
    preflight = await visit.ask("OPTIONS", "/api/notify", headers=asked, with_token=False)
    async with visit.stream(headers={"Origin": origin}) as stream:
        granted = stream.headers.get_list("access-control-allow-origin")
    for values in (granted, preflight.headers.get_list("access-control-allow-origin")):
        if len(values) > 1 or any("," in value for value in values):
            text = f"Access-Control-Allow-Origin is there {max(2, len(values))} times: browsers refuse that"
            yield Finding("cors", "wrong", text, cure_of("origin_twice", visit.proxy))
            return
        if not values or values[0] not in ("*", origin):
            what = "read the stream" if values is granted else "publish"
            text = f"a page of {origin} may not {what}"
            yield Finding("cors", "wrong", text, cure_of("origin", visit.proxy))
            return
    yield Finding("cors", "ok", f"a page of {origin} may read and publish")


async def check_heartbeat(visit: Visit, stream: OpenStream) -> Findings:
    """Whether heartbeats pass, and a stream without events lives: `stream` was opened when the visit began.

    Takes up to one and a half heartbeats.
    """
    if visit.heartbeat_s > LONGEST_HEARTBEAT_S:
        text = f"each {visit.heartbeat_s:g} s is longer than is waited for here"
        yield Finding("heartbeat", "skipped", text)
        return
    limit_s = visit.heartbeat_s * 1.5 + 5
    while not stream.has_ended:
        left_s = stream.opened_at + limit_s - time.monotonic()
        if left_s <= 0:
            text = f"none within {limit_s:.0f} s; the hub sends one each {visit.heartbeat_s:g} s"
            yield Finding("heartbeat", "wrong", text, cure_of("buffering", visit.proxy))
            return
        await stream.piece(left_s)
        if stream.comments:
            yield Finding("heartbeat", "ok", f"passes, each {visit.heartbeat_s:g} s")
            return
    age_s = time.monotonic() - stream.opened_at
    text = f"a stream without events ends after {age_s:.0f} s"
    yield Finding("heartbeat", "wrong", text, cure_of("ended", visit.proxy))


async def check_away(visit: Visit) -> Findings:
    """What an EventSource sees while the hub is away, which it is now."""
    headers = {"Accept": "text/event-stream"}
    try:
        answer = await visit.ask("GET", "/events", headers=headers)
    except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError):
        text = (
            "no connection, or one that is closed: an EventSource tries again until the hub is back"
        )
        yield Finding("away", "ok", text)
        return
    visit.proxy = (
        visit.proxy or by_headers(answer.headers) or by_refusal(await visit.bytes_for(NO_HTTP))
    )
    if answer.status == 200 and "text/event-stream" in answer.headers.get("content-type", ""):
        yield Finding("away", "ok", "200 and an event stream: an EventSource tries again")
        return
    text = f"{answer.status}: an EventSource gives up for good, in silence"
    yield Finding("away", "wrong", text, cure_of("away", visit.proxy))


async def wait_until(visit: Visit, condition: Callable[[bool], bool], seconds: float) -> bool:
    """Whether within so many seconds it holds of "the hub answers"."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            answer = await visit.ask("GET", "/healthz")
            answers = answer.status == 200 and answer.is_of_the_hub
        except httpx.HTTPError:
            answers = False
        if condition(answers):
            return True
        await asyncio.sleep(0.2)
    return False


def _said(answer: Answered) -> str:
    place = answer.headers.get("location", "")
    said = answer.json().get("error") or (f"to {place}" if place else "")
    return f"{answer.status} {said}".strip()
