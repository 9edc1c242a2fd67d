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
    subprocess.run([npm, "ci", "--silent", "--no-audit"], cwd=HERE, check=True, timeout=120)
    return program
