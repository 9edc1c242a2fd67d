"""``GET /openapi.json`` and ``GET /docs``: what all routes take and answer, for programs and for people."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tocsin.http.answer import Answer
from tocsin.http.later import Later
from tocsin.http.operation import Operation
from tocsin.http.request import JSON, Request
from tocsin.http.routes.base import OpenRoute
from tocsin.http.routes.pages import PageFile, file_replies


class MadeRoute(OpenRoute):
    """Serves a file that is made when it is first asked for.

    Args:
        make: makes it; called once, in a thread, as it takes some 50 ms.
    """

    content_type = ""

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._file: PageFile | None = None
        self._making = asyncio.Lock()

    def answer(self, request: Request) -> Answer | Later:
        """The file, or 304 to who has it already."""
        if self._file:
            return self._file.answer(request)
        return Later.of(self._made(request))

    async def _made(self, request: Request) -> Answer:
        async with self._making:  # those who ask meanwhile wait, and have it made once
            if self._file is None:
                content = await asyncio.to_thread(self._make)
                self._file = PageFile.of(content, self.content_type)
        return self._file.answer(request)


class DescriptionRoute(MadeRoute):
    """The description as OpenAPI."""

    name = "openapi"
    content_type = JSON
    operations = (
        Operation(
            method="GET",
            summary="This description, as OpenAPI 3.1",
            replies=file_replies("The description.", JSON, {"type": "object"}),
            is_open=True,
        ),
    )


class DocsRoute(MadeRoute):
    """The description as a page."""

    name = "docs"
    content_type = "text/html; charset=utf-8"
    operations = (
        Operation(
            method="GET",
            summary="This reference, as a page",
            replies=file_replies("The page.", "text/html", {"type": "string"}),
            is_open=True,
        ),
    )

    def answer(self, request: Request) -> Answer | Later:
        """The page; its links are good beside its own address alone, so that a slash behind this is taken off."""
        if request.path.endswith("/"):
            return Answer(308, content_type="", headers=(("Location", "../docs"),))
        return super().answer(request)
