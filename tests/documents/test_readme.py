"""The README's examples, run as they stand against a hub: only the address is that of the test's."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.documents.blocks import ROOT, Block, block
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S, wait_until

README = "README.md"
PUBLISH = block(README, "curl -X POST")
OPENED = 'tocsin_streams_opened_total{kind="new"}'


@pytest.fixture(scope="module")
def hub() -> Iterator[HubProcess]:
    hub = HubProcess("--cors-origin", "*")
    yield hub
    hub.close()


def here(text: str, hub: HubProcess) -> str:
    return text.replace("localhost:3000", f"127.0.0.1:{hub.port}")


def run(command: str, hub: HubProcess) -> str:
    ran = subprocess.run(
        ["bash", "-c", here(command, hub)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    return ran.stdout


def publish(hub: HubProcess) -> dict[str, object]:
    """What the README's command for it prints."""
    answer: dict[str, object] = json.loads(run(PUBLISH.text, hub))
    return answer


def test_publishing_prints_what_the_readme_shows(hub: HubProcess) -> None:
    shown = json.loads(block(README, '{"success"').text)
    answer = publish(hub)
    assert list(answer) == list(shown)
    assert answer | {"id": 0, "sentTo": 0} == shown | {"id": 0, "sentTo": 0}


def test_publishing_a_text_is_taken(hub: HubProcess) -> None:
    (command,) = re.findall(r"`(curl -d [^`]+)`", (ROOT / README).read_text())
    assert json.loads(run(command, hub))["topic"] == "ops/disks"


def python(code: Block, hub: HubProcess, folder: Path) -> list[str]:
    return [sys.executable, "-u", "-c", here(code.text, hub)]


def node(code: Block, hub: HubProcess, folder: Path) -> list[str]:
    (folder / "node_modules").mkdir()
    (folder / "node_modules/tocsin-client").symlink_to(ROOT / "client/js")  # as npm does it
    (folder / "listen.mjs").write_text(here(code.text, hub))
    return ["node", str(folder / "listen.mjs")]


def shell(code: Block, hub: HubProcess, folder: Path) -> list[str]:
    return ["bash", "-c", here(code.text, hub)]


def php(code: Block, hub: HubProcess, folder: Path) -> list[str]:
    (folder / "listen.php").write_text(here(code.text, hub))
    return ["php", str(folder / "listen.php")]


def go(code: Block, hub: HubProcess, folder: Path) -> list[str]:
    (folder / "listen.go").write_text(here(code.text, hub))
    built = folder / "listen"
    subprocess.run(
        ["go", "build", "-o", built, folder / "listen.go"], check=True, timeout=PATIENCE_S
    )
    return [str(built)]


@pytest.mark.parametrize(
    ("beginning", "command"),
    [
        ("from tocsin.client", python),
        ("import { TocsinSource", node),
        ("curl -sN", shell),
        pytest.param("<?php", php, marks=pytest.mark.soak),
        pytest.param("package main", go, marks=pytest.mark.soak),
    ],
)
def test_subscriber_prints_what_is_published(
    beginning: str,
    command: Callable[[Block, HubProcess, Path], list[str]],
    hub: HubProcess,
    tmp_path: Path,
) -> None:
    opened = hub.metric(OPENED)
    with tempfile.TemporaryFile("w+") as said:
        program = subprocess.Popen(
            command(block(README, beginning), hub, tmp_path),
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            # Not how many are open: the stream of the subscriber before may be just closing.
            wait_until(lambda: hub.metric(OPENED) > opened, what=beginning)
            assert publish(hub)["sentTo"] != 0

            def printed() -> str:
                with open(f"/proc/self/fd/{said.fileno()}") as text:
                    return text.read()

            wait_until(lambda: "Disk almost full" in printed(), what=beginning)
        finally:
            subprocess.run(["kill", "--", f"-{program.pid}"], check=False)
            program.wait(PATIENCE_S)
