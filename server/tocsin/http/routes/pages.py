"""``GET /``: the dashboard, the JavaScript client, and the files they are made of, compressed for those who take gzip."""

from __future__ import annotations

import gzip
import mimetypes
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from tocsin.http.answer import Answer, Pairs, refusal
from tocsin.http.operation import Operation, Reply, Schema
from tocsin.http.request import Request
from tocsin.http.routes.base import OpenRoute
from tocsin.http.routes.client import ENTRY, FOLDER, dense, joined
from tocsin.http.routes.page_script import SCRIPT, join

PACKAGED = Path(__file__).parents[2] / "frontend"
CHECKOUT = Path(__file__).parents[4] / "frontend"
FRONTEND = PACKAGED if PACKAGED.is_dir() else CHECKOUT
"""In the wheel the front end lies inside the package; in a checkout beside `server/`."""

PATH = re.compile(r"/(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")
"""What a file's path may look like. No part begins with a dot, so none leads out of the folder."""

MAX_PATH_LENGTH = 128
"""Of a file's path: the system raises where it is asked for a name of more than 255 bytes."""

PAGE_FIELDS: Pairs = (
    ("Cache-Control", "no-cache"),  # ask each time; the ETag makes the answer a 304
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types tocsin",
    ),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Vary", "Accept-Encoding"),
)

SHARED_FIELDS: Pairs = (*PAGE_FIELDS, ("Access-Control-Allow-Origin", "*"))
"""Of the client's files: a page of another origin may load them. They are the same for all, and hold no secret."""

COMPRESSED_TYPES = ("text/", "image/svg+xml", "application/javascript", "application/json")

COMMENT_LINES = re.compile(rb"^[ \t]*(?://.*|/\*\*(?:[^*]|\*(?!/))*\*/[ \t]*)$", re.MULTILINE)
"""Lines of a script that are nothing but comment. A test sees to it that no text in the scripts spans lines."""


@dataclass(frozen=True)
class PageFile:
    """A file's hash, its type, its bytes as served, and these compressed."""

    version: str
    content_type: str
    content: bytes
    compressed: bytes

    @classmethod
    def of(cls, content: bytes, content_type: str) -> PageFile:
        """The file that has this content."""
        version = sha256(content).hexdigest()[:32]
        return cls(version, content_type, content, gzip.compress(content, mtime=0))

    def answer(self, request: Request, of_all: Pairs = PAGE_FIELDS) -> Answer:
        """It, or 304 to who has it already; `of_all` are header fields of both."""
        is_compressed = self.content_type.startswith(COMPRESSED_TYPES) and takes_gzip(
            request.headers.get("accept-encoding", "")
        )
        tag = f'"{self.version}{"-gzip" if is_compressed else ""}"'
        fields = (*of_all, ("Etag", tag))
        if is_known(tag, request.headers.get("if-none-match", "")):
            return Answer(304, content_type="", headers=fields)
        if not is_compressed:
            return Answer(200, self.content, self.content_type, fields)
        fields = (*fields, ("Content-Encoding", "gzip"))
        return Answer(200, self.compressed, self.content_type, fields)


def file_replies(summary: str, media_type: str, shape: Schema) -> tuple[Reply, ...]:
    """What may come of asking for a file."""
    tag = {"Etag": "of what was sent, for `If-None-Match`"}
    known = "It is what the client has, by its `If-None-Match`."
    return (
        Reply(summary=summary, shape=shape, media_type=media_type, headers=tag),
        Reply(summary=known, status=304, headers=tag),
    )


INDENTS = re.compile(rb"^[ \t]+", re.MULTILINE)


def without_comments(script: bytes) -> bytes:
    """The script with its comments and indents emptied, line by line: a third of the bytes, and the same line numbers."""
    return INDENTS.sub(
        b"", COMMENT_LINES.sub(lambda comment: b"\n" * comment[0].count(b"\n"), script)
    )


@lru_cache(maxsize=256)  # more than there are files
def page_file(path: str, modified_ns: int) -> PageFile:
    """Read once; `modified_ns`, its time of change, tells new content from old."""
    if path.endswith(ENTRY):
        content = dense(without_comments(joined(Path(path))))
    elif path.endswith(SCRIPT):
        content = dense(without_comments(join(Path(path))))
    elif path.endswith(".js"):
        content = without_comments(Path(path).read_bytes())
    else:
        content = Path(path).read_bytes()
    content_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
    return PageFile.of(content, content_type)


def takes_gzip(accept_encoding: str) -> bool:
    """Whether a request with this header may be answered in gzip (RFC 9110, section 12.5.3).

    What it says of gzip counts before what it says of all codings.
    """
    qualities: dict[str, str] = {}
    for item in accept_encoding.lower().split(","):
        coding, _, quality = item.replace(" ", "").partition(";q=")
        qualities[coding] = quality
    quality = qualities.get("gzip", qualities.get("*", "0"))
    return quality == "" or quality.strip("0.") != ""


class PagesRoute(OpenRoute):
    """Serves regular files below `FRONTEND`, whole: a range of a few kilobytes is worth no code."""

    name = "pages"
    operations = (
        Operation(
            method="GET",
            summary="The dashboard",
            text="The files that it is made of lie below the same address.",
            replies=(*file_replies("The page.", "text/html", {"type": "string"}),),
            is_open=True,
        ),
    )

    def answer(self, request: Request) -> Answer:
        """The file, or 304 to who has it already."""
        file = find(request.path)
        if file is None:
            return refusal(404, "there is nothing at this path", "not_found")
        return file.answer(
            request, SHARED_FIELDS if request.path.startswith(FOLDER) else PAGE_FIELDS
        )


def find(path: str) -> PageFile | None:
    """The file at `path` of the page, or None."""
    if path == "/":
        path = "/index.html"
    if len(path) > MAX_PATH_LENGTH or not PATH.fullmatch(path):
        return None
    file = FRONTEND / path[1:]
    if not file.is_file():
        return None
    read: Iterable[Path] = (file,)
    if path == ENTRY:
        read = file.parent.iterdir()
    elif path == SCRIPT:
        read = file.parent.rglob("*.js")
    return page_file(str(file), max(os.stat(each).st_mtime_ns for each in read))


def is_known(tag: str, if_none_match: str) -> bool:
    """Whether the client says that it has what `tag` names (RFC 9110, section 13.1.2)."""
    given = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return tag in given or given == ["*"]
