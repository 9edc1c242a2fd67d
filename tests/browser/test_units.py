"""The page's pure modules, by node's own tests: `node --test tests/browser/unit/*.test.mjs` without pytest."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parent / "unit").glob("*.test.mjs"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.partition(".")[0])
def test_unit_does_what_its_own_tests_say(file: Path) -> None:
    node = shutil.which("node")
    assert node, "these tests need node: apt-get install nodejs"
    ran = subprocess.run([node, str(file)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
