"""The load generator behind ``tocsin bench``: many streams, some publishers, and what they see.

::

    with Load(hub_at("http://localhost:3000"), clients=1_000, publishers=8) as load:
        load.warm_up(0.5)
        print(load.at_once(seconds=5).deliveries_per_s)

It imports nothing of the hub, and speaks to any event-stream server whose requests a `Target` describes.
"""

from tocsin.bench.command import bench
from tocsin.bench.errors import BenchError
from tocsin.bench.latency import Latencies
from tocsin.bench.load import Load, Outcome, open_streams
from tocsin.bench.target import Target, hub_at

__all__ = [
    "BenchError",
    "Latencies",
    "Load",
    "Outcome",
    "Target",
    "bench",
    "hub_at",
    "open_streams",
]
