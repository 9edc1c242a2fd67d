"""``GET /``: the dashboard and the files it is made of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from tornado.web import HTTPError, StaticFileHandler

from tocsin.handlers.base import Handler

PACKAGED = Path(__file__).parent.parent / "frontend"
CHECKOUT = Path(__file__).parents[3] / "frontend"
FRONTEND = PACKAGED if PACKAGED.is_dir() else CHECKOUT
"""In the wheel the front end lies inside the package; in a checkout beside `server/`."""

PAGE_HEADERS = {
    "Cache-Control": "no-cache",  # ask each time; the ETag makes the answer a 304
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types tocsin"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


class PagesHandler(Handler, StaticFileHandler):
    """Serves regular files below `FRONTEND`; Tornado's handler keeps requests inside of it."""

    SUPPORTED_METHODS: ClassVar[tuple[str, ...]] = ("GET", "HEAD", "OPTIONS")  # type: ignore[misc]

    def set_extra_headers(self, path: str) -> None:
        """The page's own headers, over those of the API."""
        for name, value in PAGE_HEADERS.items():
            self.set_header(name, value)

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        """Only files: a folder would be answered by a redirect to itself."""
        if os.path.isdir(absolute_path) and not os.path.samefile(absolute_path, root):
            raise HTTPError(404)
        return super().validate_absolute_path(root, absolute_path)

    def compute_etag(self) -> str | None:
        """The hash of the content."""
        return StaticFileHandler.compute_etag(self)
