"""docs/client-python.md: its snippets run, one after the other, against a hub."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import StartHub
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]


def test_snippets_of_the_page_run(start_hub: StartHub) -> None:
    hub = start_hub("--canary", "0")
    page = (ROOT / "docs/client-python.md").read_text()
    snippets = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(snippets) == page.count("```python") > 3
    program = "\n".join(snippets).replace("localhost:3000", f"127.0.0.1:{hub.port}")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert "Order 17 is sent" in lines
    assert [line.split()[1] for line in lines[1:4]] == ["order_paid", "order_paid", "order_sent"]


def test_client_loads_nothing_of_the_hub() -> None:
    program = "import sys, tocsin.client; print(*sorted(m for m in sys.modules if 'tocsin' in m or m == 'tornado'))"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(ran.stdout.split())
    assert {name for name in loaded if not name.startswith("tocsin.client")} == {"tocsin"}
