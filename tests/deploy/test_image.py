"""The image, built for real on a Debian base and run for real (`make soak`; needs root, as in a container)."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.containers import BASE, IMAGE, Containers
from tests.hub_process import free_ports
from tests.patience import PATIENCE_S, wait_until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1_800)]

ROOT = Path(__file__).parents[2]
ADDED_MB = 110
"""What the image may have beyond its base: Python, the hub and what it imports."""


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    containers = Containers(tmp_path_factory.mktemp("containers"))
    try:
        started = time.monotonic()
        containers.build_base()
        based = time.monotonic()
        containers.build_image(ROOT)
        built = time.monotonic()
        sizes = [containers.image_bytes(name) / 1e6 for name in (BASE, IMAGE)]
        print(
            f"base: {based - started:.0f} s, {sizes[0]:.0f} MB; image: {built - based:.0f} s, {sizes[1]:.0f} MB"
        )
        yield containers
    finally:
        containers.close()


class Hub:
    """A container of the image, on free ports, with its journal in the volume `tocsin`."""

    def __init__(self, containers: Containers, name: str, *flags: str) -> None:
        self._containers = containers
        self.name = name
        self.port, self.metrics_port = free_ports(2)
        variables = (
            *("--env", f"TOCSIN_PORT={self.port}"),
            *("--env", f"TOCSIN_METRICS_LISTEN=127.0.0.1:{self.metrics_port}"),
        )
        containers.start(name, "--volume", "tocsin:/data", *variables, *flags)
        wait_until(self.is_ready, what=name)

    def is_ready(self) -> bool:
        try:
            self.get("/readyz")
        except OSError:
            return False
        return True

    def get(self, path: str, secret: str = "") -> dict[str, object]:
        return self._ask(path, None, secret)

    def publish(self, message: str, secret: str = "") -> None:
        self._ask("/api/notify", json.dumps({"type": "built", "message": message}).encode(), secret)

    def messages(self, secret: str = "") -> list[str]:
        kept = self.get("/api/history", secret)["events"]
        assert isinstance(kept, list)
        return [event["data"]["message"] for event in kept]

    def stop(self) -> int:
        """SIGTERM, and the exit code; the container is removed."""
        self._containers.podman("stop", "--time", "20", self.name)
        code = int(self._containers.podman("wait", self.name))
        self._containers.podman("rm", self.name)
        return code

    def _ask(self, path: str, body: bytes | None, secret: str) -> dict[str, object]:
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {secret}"} if secret else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            answer: dict[str, object] = json.load(response)
        return answer


def test_image_adds_little_to_its_base(containers: Containers) -> None:
    added = containers.image_bytes(IMAGE) - containers.image_bytes(BASE)
    assert added < ADDED_MB * 1e6


def test_container_without_keys_says_why_it_does_not_start(containers: Containers) -> None:
    ran = containers.once()
    assert ran.returncode == 2
    assert "--insecure" in ran.stderr


def test_container_is_not_root_and_writes_its_volume_alone(containers: Containers) -> None:
    hub = Hub(containers, "shut-in", "--env", "TOCSIN_INSECURE=true")
    assert containers.podman("exec", hub.name, "id", "-u") == "10001"
    script = "touch /data/may && ! touch /opt/tocsin/may-not && ! command -v pip && ls /data"
    listed = containers.podman("exec", hub.name, "sh", "-c", script)
    assert {"journal.db", "may"} <= set(listed.split())
    assert hub.stop() == 0


def test_health_check_of_the_image_passes_and_notices(containers: Containers) -> None:
    hub = Hub(containers, "healthy", "--env", "TOCSIN_INSECURE=true")
    health = containers.inspect(IMAGE)["Healthcheck"]["Test"]
    assert health[0] == "CMD"
    check = [part.replace("9300", str(hub.metrics_port)) for part in health[1:]]
    containers.podman("exec", hub.name, *check)
    with pytest.raises(AssertionError, match="Connection refused"):
        containers.podman("exec", hub.name, *[part.replace("9300", "9") for part in health[1:]])
    assert hub.stop() == 0


def test_events_and_keys_outlive_the_container(containers: Containers) -> None:
    add = ("key", "add", "ci", "--keys", "/data/keys.toml", "--publish", "*", "--subscribe", "*")
    made = containers.once("--volume", "tocsin:/data", command=add)
    assert made.returncode == 0, made.stderr
    secret = made.stdout.split()[-1]
    keys = ("--env", "TOCSIN_KEYS=/data/keys.toml")
    first = Hub(containers, "first", *keys)
    first.publish("kept", secret)
    assert first.stop() == 0
    second = Hub(containers, "second", *keys)
    assert second.messages(secret)[-1] == "kept"
    assert second.stop() == 0
