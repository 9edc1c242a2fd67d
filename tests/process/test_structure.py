"""The rooms of the server: which way imports run, and whether ARCHITECTURE.md's map is true."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "server/tocsin"

FOUNDATION = {"errors", "version", "settings", "logs", "sockets", "tornado_internals"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "version": set(),
    "logs": {"errors"},
    "sockets": set(),
    "tornado_internals": set(),
    "settings": {"errors"},
    "core": {"errors"},
    "eventlog": FOUNDATION | {"core"},
    "access": FOUNDATION | {"core"},
    "hub": FOUNDATION | {"core", "eventlog"},
    "http": FOUNDATION | {"core", "eventlog", "hub", "access"},
    "ops": FOUNDATION | {"core", "eventlog", "hub", "access"},
    "bench": set(),
    "client": set(),
}
"""A room, and the rooms below that it may import. `app`, `cli` and the public face may import all."""

FORBIDDEN_IN_CORE = {"asyncio", "tornado", "time", "datetime", "socket", "threading"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(module: Path) -> Iterator[str]:
    """The full names that `module` imports."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(name: str) -> str:
    return name.split(".")[1]


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(module: Path) -> None:
    own = module.relative_to(PACKAGE).with_suffix("").parts[0]
    if own not in MAY_IMPORT:
        return
    used = {room(name) for name in imports(module) if name.startswith("tocsin.")}
    assert used - {own} <= MAY_IMPORT[own]


@pytest.mark.parametrize("module", (PACKAGE / "core").rglob("*.py"), ids=lambda path: path.stem)
def test_core_has_no_loop_no_socket_and_no_clock(module: Path) -> None:
    assert {name.split(".")[0] for name in imports(module)} & FORBIDDEN_IN_CORE == set()


def test_map_has_a_line_for_each_module_and_no_other() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    block = text.partition("```\nserver/tocsin/\n")[2].partition("```")[0]
    named = set()
    folders: dict[int, str] = {0: ""}
    for line in block.splitlines():
        indent = len(line) - len(line.lstrip())
        name = line.split()[0]
        parent = folders[max(depth for depth in folders if depth < indent)]
        folders = {depth: path for depth, path in folders.items() if depth < indent}
        if name.endswith("/"):
            folders[indent] = parent + name
        else:
            named.add(parent + name)
    there = {str(m.relative_to(PACKAGE)) for m in modules()}
    packages = {name for name in there if re.search(r"/__init__\.py$", name)}
    assert named == there - packages


def test_architecture_is_short() -> None:
    """The map apart, which has a line for each module."""
    before, _, rest = (ROOT / "ARCHITECTURE.md").read_text().partition("```\nserver/tocsin/\n")
    assert (before + rest.partition("```")[2]).count("\n") < 90
