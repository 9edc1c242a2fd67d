"""A real Prometheus with the project's own configuration, in a hurry, as tests see it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S, wait_until
from tests.tied import TIED

CONFIG = Path(__file__).parents[1] / "config" / "prometheus"

Sample = tuple[dict[str, str], float]
"""Labels, and the value."""


class PrometheusProcess:
    """Scrapes `hubs` as the job tocsin, and evaluates the project's rules, every `interval_s`.

    Args:
        hubs: what to scrape; `scrape` changes it.
        hurry: by what every `for`, range and offset of the rules is divided.
        token: that the hubs ask for; empty leaves the configuration's lines about it commented out.
    """

    def __init__(
        self, *hubs: HubProcess, interval_s: float = 0.5, hurry: float = 1, token: str = ""
    ) -> None:
        self.interval_s = interval_s
        self._folder = Path(tempfile.mkdtemp(prefix="tocsin-prometheus-"))
        self._targets = self._folder / "hubs.json"
        self._configure(hurry, token)
        self.scrape(*hubs)
        self.port = 0
        self._process = self._start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def scrape(self, *hubs: HubProcess) -> None:
        """Scrape these hubs from now on, and no others."""
        new = self._folder / "hubs.new"
        new.write_text(json.dumps([{"targets": [instance(hub) for hub in hubs]}]))
        new.replace(self._targets)  # at once: Prometheus reads the file when it changes

    def query(self, expr: str, at: float | None = None) -> list[Sample]:
        """The instant vector that `expr` comes to, now or at a Unix time. A query in error fails."""
        arguments = {"query": expr} if at is None else {"query": expr, "time": f"{at:.3f}"}
        data = self._get("query", arguments)
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(row["metric"], float(row["value"][1])) for row in data["result"]]

    def value(self, expr: str, at: float | None = None) -> float:
        """The one value of `expr`."""
        ((_, value),) = self.query(expr, at)
        return value

    def range(self, expr: str, start: float, end: float, step_s: float) -> list[Sample]:
        """Every sample of `expr` between two Unix times."""
        span = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step_s:.3f}"}
        rows = self._get("query_range", {"query": expr} | span)["result"]
        return [(row["metric"], float(value)) for row in rows for _, value in row["values"]]

    def label_values(self, label: str, selector: str) -> list[str]:
        """The values that `label` has on what `selector` selects."""
        values: list[str] = self._get(f"label/{label}/values", {"match[]": selector})
        return values

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        return {a["labels"]["alertname"] for a in self.alerts() if a["state"] == "firing"}

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that are pending or firing, with their labels and texts."""
        alerts: list[dict[str, Any]] = self._get("alerts", {})["alerts"]
        return alerts

    def wait_for_scrapes(self, *hubs: HubProcess, count: int = 3) -> None:
        """Wait until each hub has been scraped so often from now on."""
        since = time.time()
        chosen = "|".join(map(instance, hubs))

        def scraped() -> bool:
            age = max(time.time() - since, 0.001)
            new = f'count_over_time(up{{instance=~"{chosen}"}}[{age * 1000:.0f}ms]) >= {count}'
            return len(self.query(new)) == len(hubs)

        wait_until(scraped, what=f"{count} scrapes of {chosen}")

    def close(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _configure(self, hurry: float, token: str) -> None:
        """The project's files, with short intervals and targets that can change."""
        text = (CONFIG / "prometheus.yml").read_text()
        if token:
            text = re.sub(r"# (authorization:|  credentials_file:)", r"\1", text)
        config = yaml.safe_load(text)
        interval = {"scrape_interval": f"{self.interval_s * 1000:.0f}ms"}
        interval["evaluation_interval"] = interval["scrape_timeout"] = interval["scrape_interval"]
        config["global"] |= interval
        (job,) = config["scrape_configs"]
        del job["static_configs"]
        if token:
            (self._folder / "token").write_text(token)
            job["authorization"]["credentials_file"] = str(self._folder / "token")
        job["file_sd_configs"] = [{"files": [str(self._targets)]}]
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        rules = yaml.safe_load((CONFIG / "rules.yml").read_text())
        for group in rules["groups"]:
            group.pop("interval", None)  # minutes would be too long for a test
        (self._folder / "rules.yml").write_text(yaml.safe_dump(hurried(rules, hurry)))

    def _start(self) -> subprocess.Popen[bytes]:
        log = self._folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *TIED,
                    "prometheus",
                    f"--config.file={self._folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    "--web.listen-address=127.0.0.1:0",
                    "--log.level=info",
                ],
                stdout=output,
                stderr=output,
            )
        address = re.compile(r'msg="Listening on" address=127\.0\.0\.1:(\d+)')
        wait_until(
            lambda: address.search(log.read_text()) or process.poll() is not None,
            what="prometheus",
        )
        found = address.search(log.read_text())
        assert found, f"prometheus did not start: {log.read_text()}"
        self.port = int(found[1])
        wait_until(self._is_ready, what="prometheus is ready")
        return process

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def _get(self, path: str, arguments: dict[str, str]) -> Any:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{arguments}: {error.read().decode()}") from None


def instance(hub: HubProcess) -> str:
    """The value of the label `instance` of this hub's series."""
    return f"127.0.0.1:{hub.metrics_port}"


def hurried(rules: dict[str, Any], hurry: float) -> dict[str, Any]:
    """The rules with every `for`, range and offset divided by `hurry`."""
    for rule in [rule for group in rules["groups"] for rule in group["rules"]]:
        rule["expr"] = re.sub(
            r"(?<=\[)\w+(?=\])|(?<=offset )\w+", lambda m: _divided(m[0], hurry), rule["expr"]
        )
        if "for" in rule:
            rule["for"] = _divided(rule["for"], hurry)
    return rules


def _divided(duration: str, by: float) -> str:
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86_400}[duration[-1]]
    return f"{int(duration[:-1]) * seconds * 1000 / by:.0f}ms"
