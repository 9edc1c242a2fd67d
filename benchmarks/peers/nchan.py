"""Nchan, the publish-subscribe module of nginx, from Debian: one worker, events kept in memory.

Its configuration is generous: no access log, buffers that hold all that the hub's history holds, and
a backlog and descriptors for every client.
"""

from __future__ import annotations

import os
import pwd
import re
from pathlib import Path

from peers.base import CACHE, Peer, run
from tocsin.bench import BenchError, Target

PACKAGES = ("nginx-light", "libnginx-mod-nchan")
MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
HOME = CACHE / "nchan"

CONFIGURATION = """\
load_module {module};
{user}
worker_processes 1;
worker_rlimit_nofile 20000;
daemon off;
pid {home}/nginx.pid;
error_log stderr error;

events {{ worker_connections 19990; }}

http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    client_body_buffer_size 64k;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    tcp_nodelay on;

    nchan_shared_memory_size 1024m;
    nchan_message_buffer_length 10000;
    nchan_message_timeout 1h;

    server {{
        listen 127.0.0.1:{port} backlog=4096;

        location ~ ^/events/(.+)$ {{
            nchan_subscriber eventsource;
            nchan_channel_id $1;
            nchan_subscriber_first_message newest;
        }}
        location ~ ^/publish/(.+)$ {{
            nchan_publisher;
            nchan_channel_id $1;
        }}
    }}
}}
"""


class Nchan(Peer):
    name = "nchan"
    title = "Nchan"

    def install(self) -> None:
        if not MODULE.exists():
            raise BenchError(f"apt-get install {' '.join(PACKAGES)}")

    def version(self) -> str:
        nginx = re.search(r"nginx/(\S+)", run("nginx", "-v"))
        package = run("dpkg-query", "--show", "--showformat", "${Version}", PACKAGES[1])
        return f"Nchan {package} in nginx {nginx[1] if nginx else '?'}, one worker"

    def command(self, port: int) -> list[str]:
        HOME.mkdir(parents=True, exist_ok=True)
        file = HOME / "nginx.conf"
        # A worker that root starts becomes `nobody` unless told otherwise, and can't write to HOME.
        user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
        file.write_text(CONFIGURATION.format(module=MODULE, user=user, home=HOME, port=port))
        return ["nginx", "-p", str(HOME), "-e", "stderr", "-c", str(file)]

    def target(self, port: int) -> Target:
        return Target("127.0.0.1", port, events="/events/all", publish="/publish/all")

    def topic_target(self, port: int) -> Target:
        return Target("127.0.0.1", port, events="/events/{topic}", publish="/publish/{topic}")


NCHAN = Nchan()
