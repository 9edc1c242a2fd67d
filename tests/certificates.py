"""Certificates for tests, made by openssl."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """A certificate of its own authority, for localhost."""

    cert: str
    key: str

    @property
    def trusting(self) -> ssl.SSLContext:
        """What a client needs that trusts it."""
        return ssl.create_default_context(cafile=self.cert)

    @property
    def settings(self) -> dict[str, str]:
        return {"tls_cert": self.cert, "tls_key": self.key}

    @property
    def flags(self) -> tuple[str, ...]:
        return ("--tls-cert", self.cert, "--tls-key", self.key)


def make_certificate(folder: Path, name: str = "hub") -> Certificate:
    """A new one, in two files of `folder`."""
    made = Certificate(str(folder / f"{name}.pem"), str(folder / f"{name}.key"))
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subject = ["-nodes", "-days", "2", "-subj", f"/CN={name}"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", made.key, "-out", made.cert]
    subprocess.run([*command, *subject, *names, *files], check=True, capture_output=True)
    return made
