"""A real nginx as Debian ships it, in front of a hub."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.hub_process import free_ports
from tests.patience import PATIENCE_S, wait_until
from tests.raw import exchange, get
from tests.tied import TIED

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"

CONFIGURATION = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass {upstream};
      {location}
    }}
  }}
}}
"""


class NginxProcess:
    """Passes on to a hub with nginx's defaults: HTTP/1.0, `Host` rewritten, buffering on.

    Args:
        hub: its port, or the path of its Unix socket.
        location: more lines of configuration.
    """

    def __init__(self, hub: int | Path, location: str = "") -> None:
        upstream = f"http://127.0.0.1:{hub}" if isinstance(hub, int) else f"http://unix:{hub}:"
        self._folder = Path(tempfile.mkdtemp(prefix="tocsin-nginx-"))
        (self.port,) = free_ports(1)
        file = self._folder / "nginx.conf"
        file.write_text(
            CONFIGURATION.format(
                folder=self._folder, port=self.port, upstream=upstream, location=location
            )
        )
        command = [*TIED, NGINX, "-p", str(self._folder), "-e", "stderr", "-c", str(file)]
        self._log = (self._folder / "log").open("w+")
        self._process = subprocess.Popen(command, stderr=self._log, stdout=self._log)
        wait_until(self._answers, what="nginx")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """End it, and remove its folder."""
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        self._log.close()
        shutil.rmtree(self._folder)

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            return exchange(self.port, get("/healthz")).status == 200
        except ConnectionRefusedError:
            return False
