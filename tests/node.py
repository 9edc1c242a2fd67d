"""Runs files of JavaScript tests: node's own runner, without a package."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def node_program() -> str:
    """The path of node."""
    node = shutil.which("node")
    assert node, "these tests need node: apt-get install nodejs"
    return node


def run_node_tests(file: Path) -> None:
    """Fail with what node says, where one of the tests of `file` fails."""
    ran = subprocess.run([node_program(), str(file)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
