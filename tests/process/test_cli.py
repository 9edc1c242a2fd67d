"""The command, as a process: what it prints, how it ends."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import StartHub
from tests.http.test_slow_clients import stalled_client
from tests.patience import PATIENCE_S, wait_until


def tocsin(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tocsin", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def test_version_is_the_packages() -> None:
    from tocsin import __version__

    assert tocsin("--version").stdout == f"tocsin {__version__}\n"


def test_check_config_prints_toml_that_it_takes_back(tmp_path: Path) -> None:
    first = tocsin("check-config", "--port", "4321", "--cors-origin", "https://a.example")
    path = tmp_path / "hub.toml"
    path.write_text(first.stdout)
    assert "port = 4321" in first.stdout
    assert tocsin("check-config", "--config", str(path)).stdout == first.stdout


def test_help_names_each_setting_once_in_groups_with_plain_defaults() -> None:
    from tocsin.settings import FIELDS

    said = tocsin("serve", "--help").stdout
    for name in FIELDS:
        flag = "--" + name.replace("_", "-")
        assert len(re.findall(rf"^  {flag}\b(?!-)", said, re.MULTILINE)) == 1, flag
    assert "Where it listens:\n  --host VALUE" in said
    assert "default 127.0.0.1" in said
    assert "default 75;" in said
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
    lines = [line for line in hub.log().splitlines() if line.startswith("{")]
    assert {json.loads(line)["logger"] for line in lines} == {"tocsin", "tocsin.access"}


def test_access_log_has_no_query(start_hub: StartHub) -> None:
    hub = start_hub()
    hub.get("/api/stats?token=secret")
    wait_until(lambda: "path=/api/stats" in hub.log())
    assert "secret" not in hub.log()
