"""The questions that docs/monitoring.md puts to the log find what they ask for."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.conftest import StartHub
from tests.documents.blocks import block
from tests.patience import PATIENCE_S, wait_until

TEXT = block("docs/monitoring.md", "jq -c").text
CLIENT, EVENT, BATCH = re.findall(r"^jq .*?hub\.log", TEXT, re.MULTILINE | re.DOTALL)


def found(query: str, log: str, folder: Path) -> list[dict[str, object]]:
    """The lines of `log` that `query` finds."""
    lines = (line for line in log.splitlines() if line.startswith("{"))
    (folder / "hub.log").write_text("\n".join(lines))
    ran = subprocess.run(
        ["bash", "-c", query],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_client_event_and_batch_are_found(start_hub: StartHub, tmp_path: Path) -> None:
    hub = start_hub("--log-format", "json")
    subprocess.run(
        ["curl", "-sN", "--max-time", "1", f"{hub.url}/events"], stdout=subprocess.DEVNULL
    )
    single = str(hub.publish()["id"])
    ids = hub.publish_at_once("tick", *"abc")
    wait_until(lambda: hub.log().count("/api/notify") == 2 and "stream closed" in hub.log())
    client = found(CLIENT.replace("12", "1"), hub.log(), tmp_path)
    assert [line["message"] for line in client] == ["stream opened", "stream closed"]
    (event,) = found(EVENT.replace("1732345678901-42", single), hub.log(), tmp_path)
    assert event["path"] == "/api/notify"
    epoch, _, seq = ids[1].partition("-")
    in_batch = BATCH.replace("42", seq).replace("1732345678901", epoch)  # which may hold a 42
    (batch,) = found(in_batch, hub.log(), tmp_path)
    assert (batch["id"], batch["last_id"]) == (ids[0], ids[-1])
