"""The Python packages of the benchmarks, in an environment of their own."""

from __future__ import annotations

import sys

from peers.base import CACHE, HERE, run

REQUIREMENTS = HERE / "requirements.txt"
HOME = CACHE / "python"
PYTHON = HOME / "bin" / "python"


def install() -> None:
    """Make the environment, or bring it up to date."""
    installed = HOME / "requirements.txt"
    if installed.exists() and installed.read_bytes() == REQUIREMENTS.read_bytes():
        return
    run(sys.executable, "-m", "venv", HOME)
    run(PYTHON, "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS)
    installed.write_bytes(REQUIREMENTS.read_bytes())


def version(package: str) -> str:
    """The installed version of `package`."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return run(PYTHON, "-c", code).strip()
