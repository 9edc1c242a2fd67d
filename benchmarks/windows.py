"""A server under load in a process of its own, of which windows are asked for, one at a time.

So that several stand side by side, and are measured in turn: what a machine gives changes within seconds,
and only neighbouring windows can be compared. No process may open the descriptors of two large loads.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from peers.base import Peer
from plan import Case, Sample, Window

from tocsin.bench import BenchError

_FORK = multiprocessing.get_context("fork")  # a load is made of closures, which can't be sent
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_STOP_S = 30.0


class Stand:
    """One server and its load; leaving the context ends both.

    Raises:
        BenchError: the server didn't start, or the load didn't open.
    """

    def __init__(self, peer: Peer, case: Case) -> None:
        self._pipe, theirs = _FORK.Pipe()
        self._process = _FORK.Process(target=_work, args=(theirs, peer, case))
        self._process.start()
        theirs.close()
        try:
            self._answer()
        except BaseException:
            self._end()
            raise

    def window(self, seconds: float) -> Sample:
        """Measure once.

        Raises:
            BenchError: something failed, so that speed means nothing; no window can follow.
        """
        try:
            self._pipe.send(seconds)
        except OSError:
            raise BenchError("no window after one that failed") from None
        return self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _answer(self) -> Sample:
        try:
            answer: Sample | str = self._pipe.recv()
        except (EOFError, OSError):
            raise BenchError("the load's process ended") from None
        if isinstance(answer, str):
            raise BenchError(answer)
        return answer

    def _end(self) -> None:
        self._process.terminate()
        self._process.join(_STOP_S)
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _work(pipe: Connection, peer: Peer, case: Case) -> None:
    """The process: an empty sample when it is ready, then a sample for each number of seconds, or an error."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # through all contexts: the server stops
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's business
    try:
        with (_anew if case.once else _kept)(peer, case) as window:
            pipe.send({})
            while True:
                pipe.send(window(pipe.recv()))
    except (BenchError, OSError) as error:  # a socket's errors, where a row speaks HTTP itself
        pipe.send(str(error))


@contextmanager
def _kept(peer: Peer, case: Case) -> Iterator[Window]:
    """The same server and load for all windows."""
    with peer.start(case.flags) as server, case.load(server) as window:
        yield window


@contextmanager
def _anew(peer: Peer, case: Case) -> Iterator[Window]:
    """A server for each window."""

    def one(seconds: float) -> Sample:
        with _kept(peer, case) as window:
            return window(seconds)

    yield one
