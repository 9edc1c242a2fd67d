"""`tocsin publish`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import on_a_terminal, refusal, tocsin
from tests.cli.conftest import StartCommand
from tests.client.scripted import Scripted, answer
from tests.hub_process import HubProcess, free_ports
from tests.patience import wait_until

OK = answer(200, b'{"success": true, "sentTo": 0, "id": "1-1"}')


def kept(hub: HubProcess, topic: str) -> list[Any]:
    events: list[Any] = hub.get(f"/api/history?topic={topic}&limit=1000")["events"]
    return events


def test_message_is_published_and_its_id_printed(hub: HubProcess) -> None:
    said = tocsin(
        *("publish", "é\u2028", "--url", hub.url, "--topic", "one", "--topic", "two"),
        *("--type", "deploy", "--data", '{"n": 1}'),
    )
    (event,) = kept(hub, "two")
    assert (said.returncode, said.stdout, said.stderr) == (0, event["id"] + "\n", "")
    assert (event["type"], event["data"]["topics"]) == ("deploy", ["one", "two"])
    assert (event["data"]["message"], event["data"]["data"]) == ("é\u2028", {"n": 1})


def test_dash_is_standard_input(hub: HubProcess) -> None:
    said = tocsin(
        "publish", "-", "--topic", "dash", input="two\nlines\n", env={"TOCSIN_URL": hub.url}
    )
    assert said.returncode == 0
    assert kept(hub, "dash")[0]["data"]["message"] == "two\nlines"


def test_key_publishes_once(hub: HubProcess) -> None:
    command = ("publish", "x", "--topic", "once", "--key", "k-1", "--url", hub.url)
    assert tocsin(*command).stdout == tocsin(*command).stdout
    assert len(kept(hub, "once")) == 1


def test_lines_are_published_in_order_with_the_options_as_defaults(hub: HubProcess) -> None:
    lines = [{"message": f"é {n}", **({"topic": "other"} if n == 7 else {})} for n in range(1500)]
    text = "\n".join(json.dumps(line) for line in lines) + "\n\n"
    command = ("publish", "--ndjson", "--topic", "lines", "--type", "t", "--batch", "400")
    said = tocsin(*command, input=text, env={"TOCSIN_URL": hub.url})
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "1500 events published\n")
    messages = [event["data"]["message"] for event in kept(hub, "lines")]
    assert messages == [f"é {n}" for n in range(1500) if n != 7][-1000:]
    assert kept(hub, "other")[0]["type"] == "t"


def test_line_is_published_before_the_next_one_comes(hub: HubProcess, start: StartCommand) -> None:
    command = start("publish", "--ndjson", "--topic", "slowly")
    for count in (1, 2):
        command.send('{"message": "now"}\n')
        wait_until(lambda n=count: len(kept(hub, "slowly")) == n)  # type: ignore[misc]


def test_progress_is_shown_on_a_terminal_only(hub: HubProcess) -> None:
    text = '{"message": "x"}\n' * 1000
    shown = on_a_terminal("publish", "--ndjson", input=text, env={"TOCSIN_URL": hub.url})
    assert " events, " in shown
    assert shown.endswith("1000 events published\r\n")


@pytest.mark.parametrize(
    ("text", "said", "count"),
    [
        ('{"message": "a"}\n{bad\n', "line 2: not JSON", 1),
        ('{"message": "a"}\n["b"]\n', "line 2: allowed: a JSON object", 1),
        ('{"message": "a"}\n\n{"message": 1}\n', "line 3; published before: 0 events", 0),
        ('{"message": "a"}\n{"message": "b", "type": "no such"}\n', "line 2; published before: 0", 0),
        ("[" * 100_000, "line 1: not JSON", 0),
    ],
)  # fmt: skip
def test_line_at_fault_is_named_with_what_is_published(
    hub: HubProcess, text: str, said: str, count: int
) -> None:
    before = hub.get("/api/stats")["published"]
    result = tocsin("publish", "--ndjson", input=text, env={"TOCSIN_URL": hub.url})
    assert result.returncode == 3
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert hub.get("/api/stats")["published"] - before == count


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "allowed: MESSAGE, `-` or --ndjson"),
        (["x", "--ndjson"], "allowed: MESSAGE, `-` or --ndjson"),
        (["--ndjson", "--key", "k"], "--key"),
        (["x", "--data", "[1]"], "--data: allowed: a JSON object"),
        (["x", "--data", "{"], "--data: not JSON"),
        (["x", "--token-file", "/none"], "--token-file: /none: No such file"),
        (["x", "--url", "http://h/?t=1"], "without a query"),
    ],
)
def test_wrong_command_line_is_one_line_and_code_2(arguments: list[str], said: str) -> None:
    code, out, error = refusal("publish", *arguments)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert said in error


def test_codes_say_what_became_of_it(hub: HubProcess) -> None:
    (port,) = free_ports(1)
    away = tocsin("publish", "x", "--url", f"http://127.0.0.1:{port}", "--patience", "0.5")
    assert (away.returncode, away.stderr.count("\n")) == (1, 1)
    refused = tocsin("publish", "x", "--type", "no such", "--url", hub.url)
    assert (refused.returncode, refused.stderr.count("\n")) == (3, 1)
    with Scripted(None) as server:
        unknown = tocsin("publish", "x", "--url", server.url, "--patience", "0.5")
        assert unknown.returncode == 4
        assert f"--key {server.header(0, 'Idempotency-Key')}" in unknown.stderr


def test_token_comes_from_a_file_or_the_environment_and_is_not_said(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-a-file\n")
    no = answer(403, b'{"error": "no right", "code": "forbidden"}')
    with Scripted(OK, OK, no) as server:
        env = {"TOCSIN_TOKEN": "from-the-environment", "TOCSIN_URL": server.url}
        assert tocsin("publish", "x", env=env).returncode == 0
        assert tocsin("publish", "x", "--token-file", str(file), env=env).returncode == 0
        refused = tocsin("publish", "x", env=env)
        shown = [server.header(n, "Authorization") for n in range(3)]
    assert shown[:2] == ["Bearer from-the-environment", "Bearer from-a-file"]
    assert refused.returncode == 3
    assert "from-the-environment" not in refused.stderr


def test_commands_variables_are_no_settings() -> None:
    env = {"TOCSIN_TOKEN": "x", "TOCSIN_URL": "http://h", "TOCSIN_TOKEN_FILE": "/f"}
    assert tocsin("check-config", env=env).returncode == 0
