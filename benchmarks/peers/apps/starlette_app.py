"""The usual sse-starlette application: a queue per client, and an answer that reads from it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

queues: set[asyncio.Queue[ServerSentEvent]] = set()


async def stream() -> AsyncIterator[ServerSentEvent]:
    queue: asyncio.Queue[ServerSentEvent] = asyncio.Queue()
    queues.add(queue)
    try:
        yield ServerSentEvent("{}", event="connection")
        while True:
            yield await queue.get()
    finally:
        queues.discard(queue)


async def events(request: Request) -> EventSourceResponse:
    return EventSourceResponse(stream())


async def notify(request: Request) -> JSONResponse:
    body = await request.json()
    timestamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    payload = {"message": body["message"], "data": body.get("data", {}), "timestamp": timestamp}
    event = ServerSentEvent(json.dumps(payload), event=body["type"])
    for queue in queues:
        queue.put_nowait(event)
    return JSONResponse({"success": True, "sentTo": len(queues), "event": body["type"]})


app = Starlette(routes=[Route("/events", events), Route("/api/notify", notify, methods=["POST"])])
