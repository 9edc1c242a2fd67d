"""Lighthouse's opinion of the page, on a desktop and on a phone (`make soak`)."""

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
PROFILES = {"desktop": (["--preset=desktop"], 0.95), "phone": ([], 0.9)}
"""What Lighthouse is told, and how fast the page must be there; a phone is what it takes by itself."""

OPTIONS = [
    f"--only-categories={','.join(LEAST)}",
    "--output=json",
    "--output-path=stdout",
    "--quiet",
    "--chrome-flags=--headless=new --no-sandbox --disable-gpu",
]


@pytest.mark.soak
@pytest.mark.parametrize("profile", PROFILES)
def test_lighthouse_finds_nothing_to_complain_of(
    start_hub: Callable[..., HubProcess], profile: str
) -> None:
    options, fast = PROFILES[profile]
    least = LEAST | {"performance": fast}
    node, npm = shutil.which("node"), shutil.which("npm")
    assert node, "this test needs node and npm: apt-get install nodejs npm"
    assert npm, "this test needs npm: apt-get install npm"
    subprocess.run([npm, "ci", "--silent", "--no-audit"], cwd=HERE, check=True, timeout=180)
    hub = start_hub("--simulate", "2")
    lighthouse = HERE / "node_modules/lighthouse/cli/index.js"
    ran = subprocess.run(
        [node, str(lighthouse), hub.url, *options, *OPTIONS],
        capture_output=True,
        timeout=150,
        env={**os.environ, "CHROME_PATH": CHROMIUM},
        check=True,
    )
    report = json.loads(ran.stdout)
    scores = {name: report["categories"][name]["score"] for name in LEAST}
    print(f"\nLighthouse {report['lighthouseVersion']}, {profile}: {scores}")
    assert {name: score for name, score in scores.items() if score < least[name]} == {}
