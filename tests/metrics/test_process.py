"""The process, as our collector sees it and as the client library's does."""

from __future__ import annotations

import os
import socket

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client import ProcessCollector as LibraryCollector

from tocsin.ops.metrics import process
from tocsin.ops.metrics.process import ProcessCollector, open_descriptors


def values(registry: CollectorRegistry) -> dict[str, float]:
    return {sample.name: sample.value for family in registry.collect() for sample in family.samples}


def test_it_says_what_the_library_says() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    ours.register(ProcessCollector())
    LibraryCollector(registry=theirs)
    seen, expected = values(ours), values(theirs)
    assert seen.keys() == expected.keys()
    assert seen["process_max_fds"] == expected["process_max_fds"]
    assert seen["process_start_time_seconds"] == pytest.approx(
        expected["process_start_time_seconds"], abs=0.02
    )
    for name in ("resident_memory_bytes", "virtual_memory_bytes", "cpu_seconds_total"):
        assert seen[f"process_{name}"] == pytest.approx(expected[f"process_{name}"], rel=0.1)
    assert seen["process_open_fds"] == pytest.approx(expected["process_open_fds"], abs=1)


def test_descriptors_are_counted() -> None:
    before = open_descriptors()
    sockets = [socket.socket() for _ in range(10)]
    assert open_descriptors() == before + 10
    for opened in sockets:
        opened.close()


def test_descriptors_are_counted_where_the_kernel_does_not_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Folder:
        def __truediv__(self, _: str) -> Folder:
            return self

        def stat(self) -> os.stat_result:
            return os.stat_result((0,) * 10)

        def __fspath__(self) -> str:
            return "/proc/self/fd"

    monkeypatch.setattr(process, "PROC", Folder())
    counted = open_descriptors()  # the list itself is open while it is counted
    monkeypatch.undo()
    assert counted == open_descriptors() + 1
