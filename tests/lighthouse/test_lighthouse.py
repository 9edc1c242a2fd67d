"""Lighthouse's opinion of the page, on a desktop (`make soak`)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hub_process import HubProcess

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("CHROMIUM", "/usr/lib/chromium/chromium-headless-shell")
LEAST = {"performance": 0.95, "accessibility": 1.0, "best-practices": 1.0}
OPTIONS = [
    "--preset=desktop",
    f"--only-categories={','.join(LEAST)}",
    "--output=json",
    "--output-path=stdout",
    "--quiet",
    "--chrome-flags=--headless=new --no-sandbox --disable-gpu",
]


@pytest.mark.soak
def test_lighthouse_finds_nothing_to_complain_of(start_hub: Callable[..., HubProcess]) -> None:
    node, npm = shutil.which("node"), shutil.which("npm")
    assert node, "this test needs node and npm: apt-get install nodejs npm"
    assert npm, "this test needs npm: apt-get install npm"
    subprocess.run([npm, "ci", "--silent", "--no-audit"], cwd=HERE, check=True, timeout=180)
    hub = start_hub("--simulate", "2")
    lighthouse = HERE / "node_modules/lighthouse/cli/index.js"
    ran = subprocess.run(
        [node, str(lighthouse), hub.url, *OPTIONS],
        capture_output=True,
        timeout=150,
        env={**os.environ, "CHROME_PATH": CHROMIUM},
        check=True,
    )
    report = json.loads(ran.stdout)
    scores = {name: report["categories"][name]["score"] for name in LEAST}
    print(f"\nLighthouse {report['lighthouseVersion']}: {scores}")
    assert {name: score for name, score in scores.items() if score < LEAST[name]} == {}
