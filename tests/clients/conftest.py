from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cutter import Cutter

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def node() -> str:
    """The node that has the clients installed beside it; fails where there is none."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        pytest.fail("these tests need node and npm: apt-get install nodejs npm")
    subprocess.run([npm, "ci", "--silent", "--no-audit"], cwd=HERE, check=True, timeout=120)
    return program


@pytest.fixture
def cutter() -> Iterator[Callable[..., Cutter]]:
    """Start cutters: `cutter(port, cut_after=None)`."""
    made: list[Cutter] = []

    def make(port: int, cut_after: int | None = None) -> Cutter:
        made.append(Cutter(port, cut_after))
        return made[-1]

    yield make
    for each in made:
        each.close()
