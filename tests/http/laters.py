"""Answers that wait, without an edge or a connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from tocsin.http.answer import Answer
from tocsin.http.edge import Edge
from tocsin.http.later import Later
from tocsin.http.request import Request


class PlainEdge:
    """Makes no answer of an error."""

    answering = 0

    def settle(self, later: Later, value: Any) -> Any:
        return value if isinstance(value, Exception) else later.make(value)


class Taken:
    """Takes answers for a test, which `on_taken` is."""

    def __init__(self, on_taken: Callable[[Any], object]) -> None:
        self._on_taken = on_taken

    def on_answer(self, later: Later, result: Any) -> None:
        self._on_taken(result)

    @staticmethod
    def send_all(laters: Sequence[Later], answer: Answer) -> None:
        for later in laters:
            later.taker.on_answer(later, answer)


def as_it_comes(later: Later, request: Request) -> Later:
    """`later`, which answers `request`, with errors as they are."""
    later.edge = cast(Edge, PlainEdge())
    later.request = request
    return later
