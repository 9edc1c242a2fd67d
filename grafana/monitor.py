"""`make monitor`: a hub that simulates, a Prometheus that scrapes it, and Grafana if there is one.

All of it listens on this machine only, keeps its data in a temporary folder, and ends together: on Ctrl-C,
on SIGTERM, or when one of them fails.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0

WITHOUT_GRAFANA = """\
Grafana    is not installed. Get it at https://grafana.com/grafana/download (version 11 or later), and
           `make monitor` starts it too. Or let a Grafana that runs elsewhere read Prometheus at
           {prometheus} and import grafana/dashboards/tocsin.json."""


class Failure(Exception):
    """What the person who typed the command is to read, in one go."""


class Program:
    """One process of the three. Its output goes to `folder`.

    Raises:
        Failure: it ended, or wasn't ready in time.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        ready: str,
        folder: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as output:
            # A session of its own: Ctrl-C reaches this process alone, which then stops them in order.
            self._process = subprocess.Popen(
                command,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                env={**environment(), **(env or {})},
                start_new_session=True,
            )
        try:
            self._wait_until_ready(ready)
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Nothing, while it runs."""
        code = self._process.poll()
        if code is not None:
            raise Failure(f"{self.name} ended with code {code}:\n{self._last_lines()}")

    def stop(self) -> None:
        """Ask it to end, and end it if it doesn't."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _wait_until_ready(self, url: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not answers(url):
            self.check()
            if time.monotonic() > deadline:
                raise Failure(f"{self.name} doesn't answer at {url}:\n{self._last_lines()}")
            time.sleep(0.1)

    def _last_lines(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-12:])


def environment() -> dict[str, str]:
    """What programs get, without the hub's settings: a token in there would lock Prometheus out."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}


def answers(url: str) -> bool:
    """Whether `url` is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def check_ports(ports: Mapping[str, int]) -> None:
    """Nothing, if all of them are free.

    Raises:
        Failure: one is taken, or is given twice.
    """
    for variable, port in ports.items():
        if list(ports.values()).count(port) > 1:
            raise Failure(f"port {port} is given twice: {', '.join(ports)} must differ")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise Failure(
                    f"port {port}: {error.strerror}. Choose another: make monitor {variable}=..."
                ) from None


def start_hub(port: int, folder: Path) -> Program:
    """The hub of `make run`."""
    serve = [sys.executable, "-m", "tocsin", "serve", "--config", "config/demo.toml"]
    return Program("hub", [*serve, "--port", str(port)], f"http://127.0.0.1:{port}/readyz", folder)


def listen(port: int) -> None:
    """Be a client of the hub for as long as it runs: the simulator is silent without one."""

    def read() -> None:
        with (
            suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/events") as stream,
        ):
            while stream.read1(65_536):
                pass

    threading.Thread(target=read, daemon=True).start()


def start_prometheus(hub_port: int, port: int, folder: Path) -> Program:
    """Prometheus with config/prometheus, but for the hub's port, and in a hurry for the one who waits."""
    config = folder / "prometheus"
    shutil.copytree(ROOT / "config" / "prometheus", config)
    file = config / "prometheus.yml"
    text = file.read_text().replace("localhost:3000", f"localhost:{hub_port}")
    file.write_text(text.replace("interval: 15s", "interval: 5s"))
    command = [
        "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'prometheus-data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    if not shutil.which("prometheus"):
        raise Failure("prometheus is not installed: sudo apt-get install prometheus")
    return Program("prometheus", command, f"http://127.0.0.1:{port}/-/ready", folder)


def grafana_command() -> list[str] | None:
    """How Grafana is started here; None where it isn't installed."""
    for name, arguments in (("grafana", ["server"]), ("grafana-server", [])):
        if path := shutil.which(name):
            homes = [Path("/usr/share/grafana"), Path(path).resolve().parents[1]]
            home = next((h for h in homes if (h / "conf" / "defaults.ini").exists()), None)
            return [path, *arguments, *(["--homepath", str(home)] if home else [])]
    return None


def grafana_environment(port: int, prometheus: str, folder: Path) -> dict[str, str]:
    """Our provisioning, its files in `folder`, and no login to look."""
    return {
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_PATHS_DATA": str(folder / "grafana-data"),
        "GF_PATHS_LOGS": str(folder / "grafana-data"),
        "GF_PATHS_PLUGINS": str(folder / "grafana-plugins"),
        "GF_PATHS_PROVISIONING": str(ROOT / "grafana" / "provisioning"),
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "PROMETHEUS_URL": prometheus,
        "GRAFANA_DASHBOARDS": str(ROOT / "grafana" / "dashboards"),
    }


def monitor(hub_port: int, prometheus_port: int, grafana_port: int) -> None:
    """Run all of it until one ends or a signal comes."""
    check_ports({"PORT": hub_port, "PROMETHEUS": prometheus_port, "GRAFANA": grafana_port})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-monitor-")))
        programs: list[Program] = []

        def start(make: Callable[[], Program]) -> None:
            programs.append(make())
            stack.callback(programs[-1].stop)

        start(lambda: start_hub(hub_port, folder))
        listen(hub_port)
        start(lambda: start_prometheus(hub_port, prometheus_port, folder))
        prometheus = f"http://localhost:{prometheus_port}"
        print(f"Hub        http://localhost:{hub_port}  (its figures: /metrics)")
        print(f"Prometheus {prometheus}/graph  (alerts: {prometheus}/alerts)", flush=True)
        if command := grafana_command():
            env = grafana_environment(grafana_port, prometheus, folder)
            ready = f"http://127.0.0.1:{grafana_port}/api/health"
            start(lambda: Program("grafana", command, ready, folder, env))
            print(f"Grafana    http://localhost:{grafana_port}/d/tocsin", flush=True)
        else:
            print(WITHOUT_GRAFANA.format(prometheus=prometheus), flush=True)
        print("Ctrl-C stops all of it.", flush=True)
        while True:
            for program in programs:
                program.check()
            time.sleep(0.2)


def port_number(text: str) -> int:
    """A port that can be asked for."""
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 65_536:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed: 1 to 65535")
    return int(text)


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="make monitor", description=__doc__)
    for name, default in (("hub", 3000), ("prometheus", 9090), ("grafana", 3001)):
        parser.add_argument(f"--{name}-port", type=port_number, default=default)
    # Set here, since a shell's background job ignores SIGINT; SIGHUP is a terminal that closes.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        monitor(**vars(parser.parse_args()))
    except Failure as failure:
        print(f"monitor: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
