"""The command, as a process: what it prints, how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
import urllib.error
from pathlib import Path

import pytest

from tests.cli.commands import tocsin
from tests.conftest import StartHub
from tests.http.test_slow_clients import stalled_client
from tests.patience import PATIENCE_S, wait_until


def test_version_is_the_packages() -> None:
    from tocsin import __version__

    assert tocsin("--version").stdout == f"tocsin {__version__}\n"


def test_check_config_prints_toml_that_it_takes_back(tmp_path: Path) -> None:
    first = tocsin("check-config", "--port", "4321", "--public-url", "https://a.example")
    path = tmp_path / "hub.toml"
    path.write_text(first.stdout)
    second = tocsin("check-config", "--config", str(path))
    assert tomllib.loads(second.stdout) == tomllib.loads(first.stdout)
    assert tomllib.loads(first.stdout)["port"] == 4321


def test_check_config_says_of_all_settings_where_each_is_from(tmp_path: Path) -> None:
    from tocsin.settings import FIELDS

    path = tmp_path / "hub.toml"
    path.write_text('port = 1\nretry = 4000\nmetrics_token = "0123456789abcdef"\nheartbeat = 10.0')
    variables = {"TOCSIN_PORT": "2", "TOCSIN_HEARTBEAT": "20"}
    lines = tocsin("check-config", "--config", str(path), "--port", "3", env=variables).stdout
    assert "\nport = 3 # --port\n" in lines
    assert "\nheartbeat = 20.0 # TOCSIN_HEARTBEAT\n" in lines
    assert f"\nretry = 4000 # retry in {path}\n" in lines
    assert f'\nmetrics_token = "(hidden)" # metrics_token in {path}\n' in lines
    assert "\nkeep_alive = 75.0 # default\n" in lines
    assert "\nhistory_events = 10000 # default, as the others are\n" in lines
    assert [line.partition(" = ")[0] for line in lines.splitlines()] == list(FIELDS)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("tocsin chec", ["check-config"]),
        ("tocsin serve --log-fo", ["--log-format"]),
        ("tocsin serve --log-format ", ["text", "json"]),
        ("tocsin serve --processes a", ["auto"]),
        ("tocsin completion z", ["zsh"]),
        ("tocsin journal ch", ["check"]),
    ],
)
def test_bash_completes_commands_options_and_values(words: str, offered: list[str]) -> None:
    script = tocsin("completion", "bash").stdout
    last = "''" if words.endswith(" ") else ""  # the word that is being begun
    ask = f"COMP_WORDS=({words} {last}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    said = subprocess.run(
        [
            "bash",
            "-c",
            f'{script}\n{ask}\n_tocsin_completion tocsin\nprintf "%s\\n" "${{COMPREPLY[@]}}"',
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
        env=os.environ | {"PATH": path},
    )
    assert said.stdout.split() == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_completions_too(shell: str) -> None:
    said = tocsin("completion", shell)
    assert f"_TOCSIN_COMPLETE={shell}_complete" in said.stdout


def test_help_names_each_setting_once_in_groups_with_plain_defaults() -> None:
    from tocsin.settings import FIELDS

    said = tocsin("serve", "--help").stdout
    for name in FIELDS:
        flag = "--" + name.replace("_", "-")
        assert len(re.findall(rf"^  {flag}\b(?!-)", said, re.MULTILINE)) == 1, flag
    assert "Where it listens:\n  --host VALUE" in said
    assert "default 127.0.0.1" in said
    assert "default 75;" in said
    assert "default 64 MiB;" in said
    assert "\nMore:" not in said
    assert "('" not in said
    assert '["' not in said


def test_command_alone_prints_its_help() -> None:
    result = tocsin()
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage:")
    assert "\n  serve " in result.stdout


def test_variables_of_kubernetes_are_told_of_once(start_hub: StartHub) -> None:
    hub = start_hub(env={"TOCSIN_PORT": "tcp://10.0.0.1:3000", "TOCSIN_SERVICE_HOST": "10.0.0.1"})
    wait_until(lambda: "started" in hub.log())
    (line,) = [line for line in hub.log().splitlines() if "Kubernetes" in line]
    assert "TOCSIN_PORT TOCSIN_SERVICE_HOST" in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "abc"], "--port: 'abc': allowed: 'int'"),
        (["--prot", "1"], "--prot"),
        (["--config", "/none.toml"], "/none.toml: No such file"),
        (["--host", "no.such.host.invalid"], "host: 'no.such.host.invalid'"),
        (["--host", "no.such.host.invalid", "--insecure"], "allowed: an address of this machine"),
        (["--host", "192.0.2.1"], "--insecure"),
        (["--host", "192.0.2.1", "--insecure"], "allowed: an address of this machine"),
        (["--host", "x" * 70, "--insecure"], "allowed: an address of this machine"),
        (["--port", "\udcff"], "--port: allowed: text in UTF-8"),  # the byte 255
        (["--log-level", "\udcff"], "--log-level: allowed: text in UTF-8"),
        (["--keys", "/a\nb"], "keys: /a\\u000ab: No such file"),
        (["--config", "/a\nb"], "--config: /a\\u000ab: No such file"),
        (["--journal", "sqlite::memory:"], "journal: 'sqlite::memory:': "),
        (["--max-clients", "99999999"], "max_clients: 99999999: allowed: at most"),
        (["extra"], "extra"),
    ],
)
def test_bad_settings_are_one_line_and_code_2(arguments: list[str], said: str) -> None:
    result = tocsin("serve", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("tocsin: ")
    assert result.stderr.count("\n") == 1
    assert said in result.stderr


def test_taken_port_is_one_line_and_code_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = tocsin("serve", "--port", str(port))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"tocsin: port: {port} on 127.0.0.1: Address already in use\n"


def test_start_prints_the_address_and_a_curl_line_that_works(start_hub: StartHub) -> None:
    hub = start_hub()
    curl = next(line for line in hub.log().splitlines() if line.startswith("Publish:"))
    result = subprocess.run(
        curl.removeprefix("Publish:") + " -s",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"success":true' in result.stdout


def test_second_signal_ends_at_once(start_hub: StartHub) -> None:
    hub = start_hub("--drain-timeout", "3600")
    slow = stalled_client(hub.port)
    wait_until(lambda: hub.metric("tocsin_clients") == 1)
    for _ in range(60):
        hub.publish(message="x" * 50_000)
    hub.signal(signal.SIGTERM)
    wait_until(lambda: "draining" in hub.log())
    hub.signal(signal.SIGTERM)
    assert hub.wait() == 0
    slow.close()


def test_json_log_holds_an_object_a_line(start_hub: StartHub) -> None:
    import json

    hub = start_hub("--log-format", "json")
    hub.publish()
    wait_until(lambda: '"path"' in hub.log())
    lines = hub.log().splitlines()  # all that was printed, the greeting too
    assert {json.loads(line)["logger"] for line in lines} == {"tocsin", "tocsin.access"}


def test_access_log_has_no_query(start_hub: StartHub) -> None:
    hub = start_hub()
    hub.get("/api/history?token=secret")
    wait_until(lambda: "path=/api/history" in hub.log())
    assert "secret" not in hub.log()


def test_access_log_is_calm_about_what_is_asked_all_the_time(start_hub: StartHub) -> None:
    hub = start_hub()
    for path in ("/", "/api/stats", "/healthz", "/readyz", "/metrics"):
        hub.text(path)
    with pytest.raises(urllib.error.HTTPError):
        hub.text("/none.js")
    hub.publish()
    wait_until(lambda: "path=/api/notify" in hub.log())
    paths = re.findall(r"request method=\w+ path=(\S+)", hub.log())
    assert paths == ["/none.js", "/api/notify"]


def test_access_log_has_all_requests_at_debug(start_hub: StartHub) -> None:
    hub = start_hub("--log-level", "debug")
    hub.text("/healthz")
    wait_until(lambda: "path=/healthz" in hub.log())
