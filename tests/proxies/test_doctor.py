"""`tocsin doctor` through real proxies: with the shipped files nothing is wrong; with others it says what, and the cure."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.certificates import Certificate, make_certificate
from tests.cli.commands import COMMAND, environment, refusal, tocsin
from tests.client.scripted import Scripted, answer
from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S
from tests.proxies.conftest import KINDS
from tests.proxy_process import (
    DefaultNginx,
    Haproxy,
    Nginx,
    ProxyProcess,
    Varnish,
    proxy_process,
)
from tocsin.cli.doctor.checks import clock_finding, delay_finding
from tocsin.cli.doctor.visit import Visit


class BareHaproxy(Haproxy):
    """HAProxy without what the shipped file is there for."""

    def shipped(self, name: str, **places: str) -> str:
        lines = super().shipped(name, **places).splitlines()
        left_out = ("option http-no-delay", "option abortonclose", "errorfile", "use_backend")
        return "\n".join(line for line in lines if not line.strip().startswith(left_out)) + "\n"


@pytest.fixture(scope="module")
def hub() -> Iterator[HubProcess]:
    started = HubProcess(
        "--canary", "0", "--heartbeat", "1", "--cors-origin", "https://app.example"
    )
    yield started
    started.close()


def doctor(url: str, *options: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the findings by their check."""
    said = tocsin("doctor", url, "--json", *options)
    findings = [json.loads(line) for line in said.stdout.splitlines()]
    assert said.stderr == ""
    return said.returncode, {finding["check"]: finding for finding in findings}


def wrong(findings: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, finding in findings.items() if finding["verdict"] == "wrong"}


def test_nothing_is_wrong_without_a_proxy(hub: HubProcess) -> None:
    code, findings = doctor(hub.url, "--origin", "https://app.example")
    assert (code, wrong(findings)) == (0, set())
    assert "no proxy is recognised" in findings["reach"]["text"]
    skipped = {name for name, finding in findings.items() if finding["verdict"] == "skipped"}
    assert skipped == {"away"}
    assert set(findings) == {
        *("reach", "clock", "http2", "compression", "buffering", "resume", "close", "body"),
        *("cors", "heartbeat", "away"),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_wrong_behind_a_shipped_file(hub: HubProcess, kind: type[ProxyProcess]) -> None:
    with proxy_process(kind, hub.port) as proxy:
        code, findings = doctor(proxy.url, "--origin", "https://app.example")
    assert (code, wrong(findings)) == (0, set()), findings
    assert f"behind {kind.__name__.lower()}," in findings["reach"]["text"]


def test_nginx_that_buffers_compresses_and_bounds_bodies_is_told_how_not_to(
    hub: HubProcess,
) -> None:
    location = (
        "proxy_ignore_headers X-Accel-Buffering; gzip on; gzip_types *; gzip_http_version 1.0;"
    )
    with proxy_process(partial(DefaultNginx, location=location), hub.port) as proxy:
        code, findings = doctor(proxy.url, "--quick")
    assert (code, wrong(findings) >= {"buffering", "body"}) == (1, True), findings
    assert "proxy_ignore_headers" in findings["buffering"]["cure"]
    assert "client_max_body_size 4m" in findings["body"]["cure"]
    assert "config/proxies/nginx.conf" in findings["body"]["cure"]


def test_haproxy_that_holds_events_and_tells_of_no_close_is_told_how_not_to(
    start_hub: StartHub,
) -> None:
    hub = start_hub("--canary", "0", "--heartbeat", "600")  # whose failing would tell of the close
    with proxy_process(BareHaproxy, hub.port) as proxy:
        code, findings = doctor(proxy.url, "--quick")
    assert code == 1
    assert wrong(findings) == {"buffering", "close"}
    assert "option http-no-delay" in findings["buffering"]["cure"]
    assert "option abortonclose" in findings["close"]["cure"]
    assert "behind haproxy" in findings["reach"]["text"]


@pytest.mark.parametrize(
    ("kind", "verdict", "cure"),
    [
        (Nginx, "ok", ""),
        (DefaultNginx, "wrong", "error_page 502 503 504 =200 @tocsin_away"),
        pytest.param(Haproxy, "ok", "", marks=pytest.mark.soak),  # it tries again for 3 s
        pytest.param(BareHaproxy, "wrong", "haproxy-away.http", marks=pytest.mark.soak),
        pytest.param(Varnish, "ok", "", marks=pytest.mark.soak),
    ],
)
def test_hub_that_is_away_shows_what_an_event_source_would_see(
    start_hub: StartHub, kind: Callable[[int], ProxyProcess], verdict: str, cure: str
) -> None:
    hub = start_hub("--canary", "0")
    with proxy_process(kind, hub.port) as proxy:
        hub.kill()
        code, findings = doctor(proxy.url)
    assert code == 1
    assert wrong(findings) == {"reach"} | ({"away"} if verdict == "wrong" else set())
    assert findings["away"]["verdict"] == verdict
    assert cure in findings["away"]["cure"]


def test_restart_is_waited_for(start_hub: StartHub) -> None:
    hub = start_hub("--canary", "0")
    with proxy_process(DefaultNginx, hub.port) as proxy:
        process = subprocess.Popen(
            [*COMMAND, "doctor", proxy.url, "--quick", "--json", "--restart", "60"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        assert process.stderr
        assert process.stderr.readline() == b"Stop the hub now: within 60 s\n"
        hub.kill()
        out, _ = process.communicate(timeout=PATIENCE_S)
    last = json.loads(out.splitlines()[-1])
    assert (last["check"], last["verdict"]) == ("away", "wrong")
    assert process.returncode == 1


def test_origin_that_is_not_granted_and_one_that_is_granted_twice(hub: HubProcess) -> None:
    _, findings = doctor(hub.url, "--quick", "--origin", "https://other.example")
    assert "--cors-origin" in findings["cors"]["cure"]
    twice = "add_header Access-Control-Allow-Origin * always;"
    with proxy_process(partial(DefaultNginx, location=twice), hub.port) as proxy:
        _, findings = doctor(proxy.url, "--quick", "--origin", "https://app.example")
    assert "2 times" in findings["cors"]["text"]


def test_hub_that_asks_for_a_key_is_examined_with_one(start_hub: StartHub, tmp_path: Path) -> None:
    keys = str(tmp_path / "keys.toml")
    every = ("--publish", "*", "--subscribe", "*")
    secret = tocsin("key", "add", "all", "--keys", keys, *every).stdout.strip()
    reader = tocsin("key", "add", "reads", "--keys", keys, "--subscribe", "*").stdout.strip()
    hub = start_hub("--canary", "0", "--keys", keys)
    code, findings = doctor(hub.url, "--quick")
    assert (code, list(findings)) == (1, ["reach"])
    assert "TOCSIN_TOKEN" in findings["reach"]["cure"]
    for token, skipped in ((secret, set()), (reader, {"buffering", "resume", "close"})):
        said = tocsin("doctor", hub.url, "--quick", "--json", env={"TOCSIN_TOKEN": token})
        found = [json.loads(line) for line in said.stdout.splitlines()]
        assert said.returncode == 0
        assert {f["check"] for f in found if f["verdict"] == "skipped"} == {
            "away",
            "cors",
            *skipped,
        }


def test_proxy_that_ends_silent_streams_is_told_how_not_to(start_hub: StartHub) -> None:
    hub = start_hub("--canary", "0", "--heartbeat", "60")
    with proxy_process(partial(DefaultNginx, location="proxy_read_timeout 1s;"), hub.port) as proxy:
        _, findings = doctor(proxy.url)
    assert wrong(findings) >= {"heartbeat"}
    assert findings["heartbeat"]["text"].startswith("a stream without events ends after ")
    assert "proxy_read_timeout 75s" in findings["heartbeat"]["cure"]


def test_host_that_the_hub_does_not_take_is_told() -> None:
    misdirected = answer(421, b'{"error": "host \x1b is not allowed", "code": "misdirected"}')
    with Scripted(misdirected) as server:
        code, findings = doctor(server.url)
    assert (code, "--public-url" in findings["reach"]["cure"]) == (1, True)


def test_what_is_no_hub_is_said() -> None:
    page = answer(200, b"<html>", "Content-Type: text/html", "Server: nginx")
    with Scripted(page) as server:
        code, findings = doctor(server.url)
    assert (code, findings["reach"]["verdict"]) == (1, "wrong")
    with Scripted(answer(301, b"", "Location: https://hub.example/")) as server:
        assert "to https://hub.example/" in doctor(server.url)[1]["reach"]["text"]


class ModernNginx(Nginx):
    """nginx with the shipped file, TLS and HTTP/2."""

    certificate: Certificate

    def site(self) -> str:
        plain = f"listen 127.0.0.1:{self.port};"
        files = (
            f"ssl_certificate {self.certificate.cert}; ssl_certificate_key {self.certificate.key};"
        )
        own = f"listen 127.0.0.1:{self.port} ssl http2; {files}"
        return super().site().replace(plain, f"listen 127.0.0.1:{self.spare_port};{own}")

    def _answers(self) -> bool:
        self.port, port = self.spare_port, self.port  # it is asked without TLS
        try:
            return super()._answers()
        finally:
            self.port = port


def test_tls_is_looked_through_and_http2_seen(start_hub: StartHub, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    hub = start_hub("--canary", "0", "--public-url", "https://localhost")
    kind = type("TlsNginx", (ModernNginx,), {"certificate": certificate})
    with proxy_process(kind, hub.port) as proxy:
        command = ("doctor", f"https://localhost:{proxy.port}", "--quick", "--json")
        said = tocsin(*command, env={"SSL_CERT_FILE": certificate.cert})
        untrusted = tocsin(*command)
    findings = {each["check"]: each for each in map(json.loads, said.stdout.splitlines())}
    assert (said.returncode, wrong(findings)) == (0, set()), findings
    assert findings["http2"]["verdict"] == "ok"
    assert "behind nginx" in findings["reach"]["text"]
    (only,) = map(json.loads, untrusted.stdout.splitlines())
    assert (only["check"], "certificate verify failed" in only["text"]) == ("reach", True)


@pytest.mark.parametrize("url", ["localhost:3000", "http://h/?x", "ftp://h"])
def test_address_that_is_none_is_one_line_and_code_2(url: str) -> None:
    code, out, error = refusal("doctor", url)
    assert (code, out, error.count("\n")) == (2, "", 1)


def test_text_for_people_has_a_line_each_and_the_cure_below(hub: HubProcess) -> None:
    lines = tocsin("doctor", hub.url, "--quick").stdout.splitlines()
    assert lines[0].startswith("ok       reach: Tocsin ")
    assert lines[3] == "           TLS with HTTP/2 in front of the hub"


@pytest.mark.parametrize(
    ("skew_s", "verdict"), [(0, "ok"), (1.5, "ok"), (-3, "wrong"), (3600, "wrong")]
)
def test_clock_is_judged_by_what_the_request_took(skew_s: float, verdict: str) -> None:
    told = datetime.fromtimestamp(1e9 + skew_s, UTC).isoformat()
    assert clock_finding(told, 1e9, 0.1).verdict == verdict
    assert clock_finding(told, 1e9, 9_000).verdict == "ok"
    assert clock_finding(None, 1e9, 0.1).verdict == "skipped"


def test_event_that_is_late_each_time_is_held_back() -> None:
    visit = Visit("http://h", "", "t", httpx.AsyncClient())
    visit.proxy = "haproxy"
    assert delay_finding(visit, 0.02).verdict == "ok"
    assert delay_finding(visit, 0.2).cure.startswith("`option http-no-delay`")
