"""docs/client-js.md, as its tests read it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/client-js.md").read_text()
EXAMPLE_HUB = "http://localhost:3000"

SNIPPETS: list[str] = re.findall(r"^```\w+\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)


def snippet(*words: str) -> str:
    """The only snippet that holds all of `words`."""
    (found,) = [code for code in SNIPPETS if all(word in code for word in words)]
    return found


FROM_HUB = snippet('import { TocsinSource } from "http://localhost:3000')
INSTALL = snippet("npm install")
FROM_PACKAGE = snippet('import { TocsinSource } from "tocsin-client";')
LISTEN = snippet("last: 10")
STATE = snippet("tocsin:state")
VITE = snippet("?worker&url")
ESBUILD = snippet("esbuild app.js")
POLICY = snippet("createPolicy")
TOKEN = snippet("/my/token")
PUBLISH = snippet("const { id } = await source.publish")
AGAIN = snippet("const again")

ALL = (
    FROM_HUB,
    INSTALL,
    FROM_PACKAGE,
    LISTEN,
    STATE,
    VITE,
    ESBUILD,
    POLICY,
    TOKEN,
    PUBLISH,
    AGAIN,
)
"""Each of them is run by a test."""


def session(beginning: str, hub_url: str) -> str:
    """A program that does what the document does from its `beginning` on, against a hub, and ends once its events came."""
    # The event may come before the answer that has its id.
    wait = "\nwhile (!seen.includes(id)) await new Promise((resolve) => setTimeout(resolve, 10));\n"
    until_open = """
const seen = [];
source.addEventListener("notification", ({ lastEventId }) => seen.push(lastEventId));
await new Promise((resolve) => source.addEventListener("connection", resolve));
"""
    parts = (beginning, LISTEN, STATE, until_open, PUBLISH, wait, AGAIN)
    return "".join(parts).replace(EXAMPLE_HUB, hub_url)
