"""Clients in a network of their own, which is lossy, narrow, or goes away (`make soak`; needs root, as in a container)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import wait_until
from tests.tied import TIED

pytestmark = pytest.mark.soak

LISTEN = """
import socket, sys
client = socket.create_connection((sys.argv[1], int(sys.argv[2])))
client.sendall(b"GET /events HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n")
while data := client.recv(65536):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
"""


def run(command: str) -> None:
    subprocess.run(command.split(), check=True)


class Network:
    """A network namespace, joined to this one by a pair of links.

    Attributes:
        address: of this end, where its clients find the hub.
    """

    def __init__(self) -> None:
        number = os.getpid() % 250
        self.name = f"tocsin{number}"
        self.address = f"10.213.{number}.1"
        run(f"ip netns add {self.name}")
        run(f"ip link add {self.name}a type veth peer name {self.name}b netns {self.name}")
        run(f"ip addr add {self.address}/30 dev {self.name}a")
        run(f"ip link set {self.name}a up")
        run(f"ip -n {self.name} addr add 10.213.{number}.2/30 dev {self.name}b")
        run(f"ip -n {self.name} link set {self.name}b up")

    def inside(self, *command: str) -> list[str]:
        """The command, run inside."""
        return [*TIED, "ip", "netns", "exec", self.name, *command]

    def go_down(self) -> None:
        """Nothing passes any more, and nobody is told."""
        run(f"ip -n {self.name} link set {self.name}b down")

    def be_bad(self) -> None:
        """A fifth of what comes in is lost, and 1 Mbit/s passes at most."""
        rules = "add table ip t; add chain ip t i { type filter hook input priority 0; };"
        rules += "add rule ip t i numgen random mod 100 < 20 drop"
        subprocess.run(self.inside("nft", rules), check=True)
        run(f"tc qdisc add dev {self.name}a root tbf rate 1mbit burst 8kb latency 100ms")

    def close(self) -> None:
        run(f"ip link del {self.name}a")
        run(f"ip netns del {self.name}")


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


def open_stream(network: Network, hub: HubProcess, output: int) -> subprocess.Popen[bytes]:
    """A client inside that writes what it gets to `output`."""
    command = network.inside(sys.executable, "-c", LISTEN, network.address, str(hub.port))
    process = subprocess.Popen(command, stdout=output)
    wait_until(lambda: hub.metric("tocsin_clients") == 1, what="the stream")
    return process


def test_client_that_vanished_is_freed(start_hub: StartHub, network: Network) -> None:
    hub = start_hub("--host", "0.0.0.0", "--insecure", "--canary", "0", "--heartbeat", "5")
    process = open_stream(network, hub, subprocess.DEVNULL)
    network.go_down()
    wait_until(lambda: hub.metric("tocsin_clients") == 0, what="5 s and 20 s have passed")
    process.kill()
    process.wait()


def test_client_on_a_lossy_and_narrow_line_gets_everything(
    start_hub: StartHub, network: Network, tmp_path_factory: pytest.TempPathFactory
) -> None:
    hub = start_hub("--host", "0.0.0.0", "--insecure", "--canary", "0", "--heartbeat", "1")
    got = tmp_path_factory.mktemp("network") / "got"
    with got.open("wb") as output:
        process = open_stream(network, hub, output.fileno())
        network.be_bad()
        ids = [hub.publish(message=f"{number} " + "x" * 500)["id"] for number in range(300)]
        wait_until(lambda: f"id: {ids[-1]}\n".encode() in got.read_bytes(), what="the last event")
        process.kill()
        process.wait()
    blocks = [block for block in got.read_text().split("\n\n") if "event: notification" in block]
    assert [block.rpartition("id: ")[2] for block in blocks] == ids
    numbers = [
        json.loads(block.partition("data: ")[2].split("\n")[0])["message"] for block in blocks
    ]
    assert [int(number.split()[0]) for number in numbers] == list(range(300))
