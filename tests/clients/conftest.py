from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def node() -> str:
    """The node that has the clients installed beside it; fails where there is none."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        pytest.fail("these tests need node and npm: apt-get install nodejs npm")
    wanted, installed = HERE / "package-lock.json", HERE / "node_modules/.package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
        subprocess.run([npm, "ci", "--silent", "--no-audit"], cwd=HERE, check=True)
    return program


@pytest.fixture(scope="session")
def go_client(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The client in Go, built; fails where there is no Go."""
    go = shutil.which("go")
    if go is None:
        pytest.fail("this test needs Go: apt-get install golang-go")
    program = tmp_path_factory.mktemp("go") / "listen"
    subprocess.run([go, "build", "-o", program, "."], cwd=HERE / "go", check=True)
    return str(program)
