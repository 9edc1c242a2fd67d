"""All checks of a visit, one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import click
import httpx

from tocsin.cli.doctor import checks
from tocsin.cli.doctor.finding import Finding
from tocsin.cli.doctor.visit import OpenStream, Stop, Visit, Wrong
from tocsin.client.answers import is_hopeless

NEED_EVENTS = ("resume", "close", "heartbeat")
"""Checks that would say the same again where events are held back, and wait for it."""


async def findings(
    visit: Visit, origin: str, quick: bool, restart_s: float | None
) -> AsyncIterator[Finding]:
    """All that is found, as it is found; where the hub is away, what is seen of that alone."""
    try:
        async for finding in checks.check_reach(visit):
            yield finding
    except Stop:
        return
    except (httpx.HTTPError, Wrong) as error:
        yield Finding("reach", "wrong", _text_of(error))
        is_away = not await checks.wait_until(visit, lambda answers: answers, 0.1)
        if is_away and not is_hopeless(error):
            async for finding in checks.check_away(visit):
                yield finding
        return
    async with AsyncExitStack() as stack:
        idle = None if quick else await _opened(stack, visit)
        each: dict[str, checks.Findings] = {
            "http2": checks.check_protocol(visit),
            "buffering": checks.check_delivery(visit),
            "resume": checks.check_resume(visit),
            "close": checks.check_close(visit),
            "body": checks.check_body(visit),
            "cors": checks.check_origin(visit, origin),
        }
        if idle:
            each["heartbeat"] = checks.check_heartbeat(visit, idle)
        for name, check in each.items():
            if visit.is_held_back and name in NEED_EVENTS:
                yield Finding(name, "skipped", "events don't come through")
                continue
            try:
                async for finding in check:
                    yield finding
            except (httpx.HTTPError, Wrong) as error:
                yield Finding(name, "wrong", _text_of(error))
    if restart_s is None:
        yield Finding("away", "skipped", "the hub is there: --restart 60 waits for you to stop it")
        return
    click.echo(f"Stop the hub now: within {restart_s:g} s", err=True)
    if not await checks.wait_until(visit, lambda answers: not answers, restart_s):
        yield Finding("away", "skipped", f"the hub did not stop within {restart_s:g} s")
        return
    async for finding in checks.check_away(visit):
        yield finding


async def _opened(stack: AsyncExitStack, visit: Visit) -> OpenStream | None:
    """A stream that waits for a heartbeat while the rest is tried; None where none can be had, as a check will say."""
    try:
        return await stack.enter_async_context(visit.stream())
    except (httpx.HTTPError, Wrong):
        return None


def _text_of(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text if isinstance(error, Wrong) else f"no answer: {text}"
