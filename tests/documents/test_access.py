"""The commands of docs/access.md, in its order: what a reader types works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import StartHub
from tests.documents.blocks import block
from tests.patience import PATIENCE_S, wait_until

PAGE = "docs/access.md"
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def run(command: str, folder: Path, given: str = "", **variables: str) -> str:
    ran = subprocess.run(
        ["bash", "-ec", command],
        cwd=folder,
        env=os.environ | {"PATH": PATH} | variables,
        input=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def without(text: str, beginning: str) -> str:
    """The commands but those that begin so."""
    return "\n".join(line for line in text.splitlines() if not line.startswith(beginning))


def test_key_publishes(start_hub: StartHub, tmp_path: Path) -> None:
    secret = run(without(block(PAGE, "tocsin key add").text, "tocsin serve"), tmp_path)
    hub = start_hub("--keys", str(tmp_path / "keys.toml"))
    publish = block(PAGE, 'curl -H "Authorization: Bearer $SECRET"').text
    local = publish.replace("localhost:3000", f"127.0.0.1:{hub.port}")
    assert json.loads(run(local, tmp_path, SECRET=secret))["topic"] == "ci/main"


def test_operator_sees_and_ends_streams(start_hub: StartHub, tmp_path: Path) -> None:
    add = "tocsin key add operator --keys keys.toml --admin --subscribe '*'"
    secret = run(add, tmp_path)
    hub = start_hub("--keys", str(tmp_path / "keys.toml"))
    see, end = block(PAGE, 'curl -H "Authorization: Bearer $OPERATOR"').shell_lines()
    listener = subprocess.Popen(
        ["curl", "-sN", "-H", f"Authorization: Bearer {secret}", f"{hub.url}/events"],
        stdout=subprocess.DEVNULL,
    )
    local = see.replace("localhost:3000", f"127.0.0.1:{hub.port}")

    def numbers() -> list[int]:
        listed = json.loads(run(local, tmp_path, OPERATOR=secret))["streams"]
        return [each["number"] for each in listed]

    wait_until(lambda: len(numbers()) == 1)
    local_end = end.replace("localhost:3000", f"127.0.0.1:{hub.port}")
    run(local_end.replace("number=17", f"number={numbers()[0]}"), tmp_path, OPERATOR=secret)
    assert listener.wait(PATIENCE_S) == 0


def test_token_is_what_the_page_says(start_hub: StartHub, tmp_path: Path) -> None:
    set_up = block(PAGE, "head -c 48").text
    run(without(without(set_up, "tocsin serve"), "pip install"), tmp_path)
    key = {"TOCSIN_JWT_KEY": "file:jwt-secret", "TOCSIN_JWT_AUDIENCE": "tocsin"}
    make = "tocsin token make alice --subscribe 'chat/*' --subscribe news --publish 'chat/*' --lifetime 3600"
    token = run(make, tmp_path, **key)
    explained = run("tocsin token explain", tmp_path, given=token, **key)
    shown = json.loads(block(PAGE, '{"sub"').text)
    assert shown["sub"] in explained
    assert shown["aud"] in explained
    assert shown["exp"] > time.mktime((2026, 1, 1, 0, 0, 0, 0, 0, 0))
    hub = start_hub("--jwt-key", f"file:{tmp_path / 'jwt-secret'}", "--jwt-audience", "tocsin")
    ask = f'curl -sf -H "Authorization: Bearer $TOKEN" {hub.url}/api/session'
    rights = json.loads(run(ask, tmp_path, TOKEN=token))
    assert set(shown["tocsin"]["subscribe"]) <= set(json.dumps(rights).split('"'))
