"""The reference as a page: HTML made of the Markdown that `reference` writes, without a script and without foreign hosts.

Of Markdown it knows headings, paragraphs, tables, and code in a line: no more is written there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tocsin API</title>
<link rel="icon" href="favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="styles/tokens.css">
<link rel="stylesheet" href="styles/base.css">
<link rel="stylesheet" href="styles/reference.css">
</head>
<body class="reference">
<a class="skip" href="#main">To the text</a>
<header>
<h1>Tocsin API</h1>
<p><a href="./">Dashboard</a> <a href="openapi.json">OpenAPI 3.1</a></p>
</header>
<nav aria-label="Contents"><ul>
{contents}
</ul></nav>
<main id="main" tabindex="-1">
{main}
</main>
</body>
</html>
"""

HEADING = re.compile(r"(#{2,4}) (.*)")
CODE = re.compile(r"`([^`]*)`")
CELLS = re.compile(r"(?<!\\)\|")

Line = tuple[str, str]
"""A kind of line, and the line."""


def as_page(markdown: str) -> bytes:
    """The whole page."""
    headings = [found for line in markdown.splitlines() if (found := HEADING.fullmatch(line))]
    anchors = {found[2]: _anchor(found[2]) for found in headings}
    parts = groupby(map(_line, markdown.splitlines()), key=lambda line: line[0])
    main = [
        html for kind, lines in parts for html in _html(kind, [text for _, text in lines], anchors)
    ]
    contents = [
        f'<li class="level-{len(found[1])}"><a href="#{anchors[found[2]]}">{escape(found[2])}</a></li>'
        for found in headings
    ]
    return PAGE.format(contents="\n".join(contents), main="\n".join(main)).encode()


def _line(line: str) -> Line:
    kind = "blank"
    if HEADING.fullmatch(line):
        kind = "heading"
    elif line.startswith("|"):
        kind = "table"
    elif line:
        kind = "text"
    return kind, line


def _html(kind: str, lines: Sequence[str], anchors: dict[str, str]) -> Iterator[str]:
    """Lines of one kind that stand together."""
    if kind == "heading":
        for line in lines:
            hashes, _, title = line.partition(" ")
            level = len(hashes)
            yield f'<h{level} id="{anchors[title]}">{escape(title)}</h{level}>'
    elif kind == "table":
        head, _, *rows = [CELLS.split(line)[1:-1] for line in lines]
        # It scrolls by itself where it is too wide, by keys too.
        yield f'<div class="table" role="group" tabindex="0" aria-label="{escape(head[0].strip())}"><table>'
        yield f"<thead>{_row('th', head, anchors)}</thead><tbody>"
        yield from (_row("td", row, anchors) for row in rows)
        yield "</tbody></table></div>"
    elif kind == "text":
        yield f"<p>{_inline(' '.join(lines), anchors)}</p>"


def _row(tag: str, cells: Iterable[str], anchors: dict[str, str]) -> str:
    shown = [f"<{tag}>{_inline(cell.strip(), anchors)}</{tag}>" for cell in cells]
    return f"<tr>{''.join(shown)}</tr>"


def _inline(text: str, anchors: dict[str, str]) -> str:
    """`text` with its code; the name of a type leads to it."""

    def code(found: re.Match[str]) -> str:
        shown = f"<code>{found[1]}</code>"
        anchor = anchors.get(found[1])
        return f'<a href="#{anchor}">{shown}</a>' if anchor else shown

    return CODE.sub(code, escape(text.replace("\\|", "|"), quote=False))


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
