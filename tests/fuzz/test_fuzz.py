"""Bytes of atheris' choice for whatever reads what strangers send (`make soak`).

FUZZ_SECONDS is how long each target is fed, 60.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tied import TIED

SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))
ROOT = Path(__file__).parents[2]


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.parametrize(
    "target",
    [
        *("event_id", "publish_body", "batch", "record", "settings", "event_stream"),
        *("cloud_event", "hook", "request_head", "query", "ticket", "forwarded"),
    ],
)
def test_no_bytes_are_misread(target: str) -> None:
    ran = subprocess.run(
        [*TIED, sys.executable, "-m", "tests.fuzz.targets", target, f"{SECONDS:.0f}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3_000:]
    assert "Done" in ran.stderr, ran.stderr[-3_000:]
    print(target, ran.stderr.strip().splitlines()[-1])
