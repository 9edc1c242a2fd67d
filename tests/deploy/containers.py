"""Images and containers of a store of their own, on a Debian base that is made here: no registry is asked."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE_S

BASE = "localhost/debian"
IMAGE = "localhost/tocsin"
RELEASE = "trixie"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")
"""What any machine grants: podman's own are above the hard limits where the tests themselves are in a container."""
SHUT_IN = ("--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges")


def run(*command: str, timeout_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


def checked(*command: str, timeout_s: float = PATIENCE_S) -> str:
    """What `command` prints on standard output; it must succeed."""
    ran = run(*command, timeout_s=timeout_s)
    assert ran.returncode == 0, f"{command}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}"
    return ran.stdout.strip()


class Containers:
    """Needs root, podman, buildah, runc and debootstrap."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = (
            *("--root", str(folder / "store"), "--runroot", str(folder / "run")),
            *("--storage-driver", "vfs"),
        )

    def build_base(self) -> None:
        """Make `BASE`, as small as the images that Debian publishes, but for what they leave out of documents."""
        root = self._folder / "debian"
        flags = ("--variant=minbase", "--include=ca-certificates")
        checked("debootstrap", *flags, RELEASE, str(root), timeout_s=600)
        # The same authorities as here: some machines see registries of packages through a proxy of their own.
        shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
        for leftover in ("var/cache/apt", "var/lib/apt/lists"):
            shutil.rmtree(root / leftover)
        container = self._buildah("from", "scratch")
        self._buildah("add", "--quiet", container, str(root), "/", timeout_s=300)
        self._buildah("commit", "--quiet", "--rm", container, BASE, timeout_s=300)
        shutil.rmtree(root)

    def build_image(self, context: Path) -> None:
        """Build `context`'s Dockerfile into `IMAGE`."""
        flags = ("--isolation", "chroot", "--format", "docker", "--build-arg", f"BASE={BASE}")
        self._buildah("build-using-dockerfile", *flags, "--tag", IMAGE, str(context), timeout_s=900)

    def image_bytes(self, name: str) -> int:
        return int(self.inspect(name)["Size"])

    def inspect(self, image: str) -> dict[str, Any]:
        described: dict[str, Any] = json.loads(self.podman("inspect", "--type", "image", image))[0]
        return described

    def start(self, name: str, *flags: str) -> None:
        """Run `IMAGE` in the background, shut in as far as it goes."""
        self.podman("run", "--detach", "--name", name, *self._flags(), *flags, IMAGE)

    def once(self, *flags: str, command: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run `IMAGE` until it ends by itself."""
        return run(*self._podman(), "run", "--rm", *self._flags(), *flags, IMAGE, *command)

    def podman(self, *arguments: str) -> str:
        return checked(*self._podman(), *arguments)

    def close(self) -> None:
        """End and remove all of it."""
        run(*self._podman(), "rm", "--all", "--force", "--time", "0")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _podman(self) -> tuple[str, ...]:
        return ("podman", *self._store, "--runtime", "runc", "--cgroup-manager", "cgroupfs")

    def _flags(self) -> tuple[str, ...]:
        # podman has systemd run health checks; where there is none, the test runs the image's command by itself.
        return ("--network", "host", "--no-healthcheck", *LIMITS, *SHUT_IN)

    def _buildah(self, command: str, *arguments: str, timeout_s: float = PATIENCE_S) -> str:
        return checked("buildah", *self._store, command, *arguments, timeout_s=timeout_s)
