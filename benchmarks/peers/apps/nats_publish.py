"""Publishes to a JetStream, each connection one message after the other; prints acknowledgements a second.

usage: nats_publish.py PORT PUBLISHERS MESSAGE_BYTES SECONDS
"""

from __future__ import annotations

import asyncio
import sys
import time

import nats


async def main(port: int, publishers: int, message_bytes: int, seconds: float) -> None:
    url = f"nats://127.0.0.1:{port}"
    connections = [await nats.connect(url) for _ in range(publishers)]
    streams = [connection.jetstream() for connection in connections]
    await streams[0].add_stream(name="bench", subjects=["bench"])
    message = b"x" * message_bytes
    counted = 0
    is_warm = False
    end = float("inf")

    async def publish(stream: nats.js.JetStreamContext) -> None:
        nonlocal counted
        while time.monotonic() < end:
            await stream.publish("bench", message)
            counted += is_warm

    tasks = [asyncio.create_task(publish(stream)) for stream in streams]
    await asyncio.sleep(0.4)
    is_warm, begun = True, time.monotonic()
    end = begun + seconds
    await asyncio.gather(*tasks)
    print(counted / (time.monotonic() - begun))
    for connection in connections:
        await connection.close()


if __name__ == "__main__":
    numbers = sys.argv[1:]
    asyncio.run(main(*map(int, numbers[:3]), float(numbers[3])))
