"""The process as Prometheus' clients show it (`process_*`), without a list of its descriptors.

The client library's collector lists ``/proc/self/fd`` to count it: 10 ms of the loop with 10,000 streams
open. Since Linux 6.2 the folder's size is that count, at the cost of one call.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

PROC = Path("/proc")


class ProcessCollector(Collector):
    """Yields the families that the library's own has, read from Linux' `/proc`."""

    def __init__(self) -> None:
        self._started = start_time()

    def describe(self) -> Iterable[Metric]:
        """Nothing: or registering would collect."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Memory, age, processor time and descriptors, read now."""
        virtual, resident, *_ = (PROC / "self/statm").read_text().split()
        page = resource.getpagesize()
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        cpu = "Processor time spent, of user and system."
        yield _gauge("virtual_memory_bytes", "Virtual memory.", int(virtual) * page)
        yield _gauge("resident_memory_bytes", "Memory that is in RAM.", int(resident) * page)
        yield _gauge("start_time_seconds", "Unix time at which the process began.", self._started)
        yield CounterMetricFamily(
            "process_cpu_seconds", cpu, value=time.process_time(), unit="seconds"
        )
        yield _gauge("open_fds", "Open descriptors.", open_descriptors())
        yield _gauge("max_fds", "Open descriptors at most.", limit)


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    folder = PROC / "self/fd"
    # An older kernel says 0.
    return folder.stat().st_size or len(os.listdir(folder))


def start_time() -> float:
    """The Unix time at which this process began."""
    # The second field is the program's name and may hold anything; what is behind it is proc(5)'s
    # field 3 and on. Field 22 is the start, in ticks since the boot.
    fields = (PROC / "self/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[22 - 3])
    boot = next(
        line.split()[1] for line in (PROC / "stat").read_text().splitlines() if "btime" in line
    )
    return int(boot) + ticks / os.sysconf("SC_CLK_TCK")


def _gauge(name: str, text: str, value: float) -> Metric:
    unit = name.rpartition("_")[2]
    unit = unit if unit in ("seconds", "bytes") else ""
    return GaugeMetricFamily(f"process_{name}", text, value=value, unit=unit)
