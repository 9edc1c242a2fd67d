"""A plain Tornado event-stream server, for `python tornado_app.py PORT`."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime

from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler

streams: set[Events] = set()


class Events(RequestHandler):
    async def get(self) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        self.closed = asyncio.Event()
        streams.add(self)
        self.write("event: connection\ndata: {}\n\n")
        await self.flush()
        await self.closed.wait()

    def on_connection_close(self) -> None:
        streams.discard(self)
        self.closed.set()


class Notify(RequestHandler):
    def post(self) -> None:
        body = json.loads(self.request.body)
        timestamp = datetime.now(UTC).isoformat(timespec="milliseconds")
        payload = {"message": body["message"], "data": body.get("data", {}), "timestamp": timestamp}
        block = f"event: {body['type']}\ndata: {json.dumps(payload)}\n\n"
        for stream in list(streams):
            try:
                stream.write(block)
                stream.flush()
            except StreamClosedError:
                streams.discard(stream)
        self.write({"success": True, "sentTo": len(streams), "event": body["type"]})


async def main(port: int) -> None:
    app = Application([("/events", Events), ("/api/notify", Notify)], log_function=lambda _: None)
    app.listen(port, "127.0.0.1", backlog=4096)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
