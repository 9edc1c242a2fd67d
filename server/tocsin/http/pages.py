"""``GET /``: the dashboard and the files it is made of, compressed for those who take gzip."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

from tornado.web import HTTPError, StaticFileHandler

from tocsin.http.base import Handler

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


COMPRESSED_TYPES = ("text/", "image/svg+xml", "application/javascript")


COMMENT_LINES = re.compile(rb"^[ \t]*(?://.*|/\*\*(?:[^*]|\*(?!/))*\*/[ \t]*)$", re.MULTILINE)
"""Lines of a script that are nothing but comment. A test sees to it that no text in the scripts spans lines."""


@dataclass(frozen=True)
class PageFile:
    """A file's hash, its bytes as served, and these compressed."""

    version: str
    content: bytes
    compressed: bytes


def without_comments(script: bytes) -> bytes:
    """The script with its comments emptied, line by line: a third of the bytes, and the same line numbers."""
    return COMMENT_LINES.sub(lambda comment: b"\n" * comment[0].count(b"\n"), script)


@lru_cache(maxsize=256)  # more than there are files
def page_file(path: str, modified_ns: int) -> PageFile:
    """Read once; `modified_ns`, its time of change, tells new content from old."""
    content = Path(path).read_bytes()
    if path.endswith(".js"):
        content = without_comments(content)
    version = sha256(content).hexdigest()[:32]
    return PageFile(version, content, gzip.compress(content, mtime=0))


def takes_gzip(accept_encoding: str) -> bool:
    """Whether a request with this header may be answered in gzip (RFC 9110, section 12.5.3)."""
    for item in accept_encoding.lower().split(","):
        coding, _, quality = item.replace(" ", "").partition(";q=")
        if coding in ("gzip", "*"):
            return quality.strip("0.") != "" or quality == ""
    return False


class PagesHandler(Handler, StaticFileHandler):
    """Serves regular files below `FRONTEND`; Tornado's handler keeps requests inside of it."""

    SUPPORTED_METHODS: ClassVar[tuple[str, ...]] = ("GET", "HEAD", "OPTIONS")  # type: ignore[misc]

    def set_extra_headers(self, path: str) -> None:
        """The page's own headers, over those of the API."""
        for name, value in PAGE_HEADERS.items():
            self.set_header(name, value)
        self.add_header("Vary", "Accept-Encoding")
        if self._encoded:
            self.set_header("Content-Encoding", "gzip")

    @property
    def _encoded(self) -> bool:
        """A range is of the file as it is: parts of two encodings must not be joined."""
        headers = self.request.headers
        return (
            "Range" not in headers
            and takes_gzip(headers.get("Accept-Encoding", ""))
            and self.get_content_type().startswith(COMPRESSED_TYPES)
        )

    @property
    def _file(self) -> PageFile:
        assert self.absolute_path is not None
        return page_file(self.absolute_path, os.stat(self.absolute_path).st_mtime_ns)

    def get_content_size(self) -> int:
        """Of the body as sent."""
        return len(self._file.compressed if self._encoded else self._file.content)

    # Tornado's is a class method, which can't know the request.
    def get_content(  # type: ignore[override]
        self, abspath: str, start: int | None = None, end: int | None = None
    ) -> Iterable[bytes]:
        """The body as sent."""
        if self._encoded:
            return [self._file.compressed]
        return [self._file.content[start:end]]

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        """Only files: a folder would be answered by a redirect to itself."""
        if os.path.isdir(absolute_path) and not os.path.samefile(absolute_path, root):
            raise HTTPError(404)
        return super().validate_absolute_path(root, absolute_path)

    def compute_etag(self) -> str | None:
        """The hash of the content; another one for its compressed form."""
        return f'"{self._file.version}{"-gzip" if self._encoded else ""}"'
