"""The examples of docs/api.md, run from top to bottom against a fresh hub: they print what the page says."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.conftest import StartHub
from tests.patience import PATIENCE_S

API = Path(__file__).parents[2] / "docs/api.md"
EXAMPLE = re.compile(r"```sh\n(.*?)```\n(?:\n```(json|text)\n(.*?)```\n)?", re.DOTALL)


def shown(text: str, epoch: str) -> str:
    """`text` with what differs from one run to the next put as the page puts it."""
    text = re.sub(r"\b\d{13}-(\d+)\b", r"ID-\1", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "TIME", text)
    text = re.sub(r'"time":\d+\.\d+', '"time":TIME', text)
    return re.sub(r"retry: \d+", "retry: 3000", text)


def run(command: str, port: int) -> str:
    """What `command` prints. Its streams never end by themselves: curl gives up (28) by `--max-time`."""
    ran = subprocess.run(
        ["bash", "-c", command.replace("localhost:3000", f"127.0.0.1:{port}")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ran.returncode in (0, 28), f"{command}: {ran.stderr}"
    return ran.stdout


def test_examples_print_what_the_page_says(start_hub: StartHub, tmp_path: Path) -> None:
    hub = start_hub()
    epoch = hub.get("/api/stats")["head"].partition("-")[0]
    examples = EXAMPLE.findall(API.read_text())
    assert len(examples) >= 2
    for command, kind, expected in examples:
        printed = shown(run(re.sub(r"\bID-(\d)", rf"{epoch}-\1", command), hub.port), epoch)
        if kind == "json" and not expected.lstrip().startswith("event:"):
            expected, printed = expected.strip(), printed.strip()
            assert json.loads(printed.replace(":TIME", ":0")), command
        assert printed.strip() == expected.strip(), command
