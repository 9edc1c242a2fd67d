"""The certificate that connections are served with; it is read again while the hub runs."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from tocsin.errors import SettingsError
from tocsin.settings import Settings

HANDSHAKE_S = 10.0
"""How long a client may take to agree on a connection."""

log = logging.getLogger("tocsin")


class Tls:
    """TLS 1.2 or later, with one certificate.

    Args:
        cert: path of the certificate, with those that lead to a known authority behind it, as PEM.
        key: path of its key, as PEM, without a passphrase.

    Attributes:
        context: what new connections are made with; another one after each `reload`.

    Raises:
        SettingsError: one can't be read, or they don't belong together.
    """

    def __init__(self, cert: str, key: str) -> None:
        self._cert = cert
        self._key = key
        self.context = self._read()

    def reload(self) -> None:
        """Read both again for connections that are made from now on; where they are broken, the old ones stay."""
        try:
            self.context = self._read()
        except SettingsError as error:
            text = "the certificate was not read again, and the old one stays"
            log.error(text, extra={"why": str(error)})
        else:
            log.info("the certificate was read again", extra={"file": self._cert})

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        for setting, path in (("tls_cert", self._cert), ("tls_key", self._key)):
            try:
                Path(path).read_bytes()  # OpenSSL doesn't say which of the two it is
            except OSError as error:
                raise SettingsError(
                    f"{setting}: {path!r}: allowed: a file that can be read ({error.strerror})"
                ) from None
        try:
            # Without a function for it, OpenSSL would ask the terminal for a passphrase.
            context.load_cert_chain(self._cert, self._key, password=lambda: "")
        except (ssl.SSLError, ValueError) as error:
            why = getattr(error, "reason", None) or str(error)
            raise SettingsError(
                f"tls_cert: {self._cert!r}, tls_key: {self._key!r}: allowed: a certificate and its own key without a"
                f" passphrase, as PEM ({why})"
            ) from None
        return context


def tls_of(settings: Settings) -> Tls | None:
    """What the settings say; None is none.

    Raises:
        SettingsError: the files are broken.
    """
    return Tls(settings.tls_cert, settings.tls_key) if settings.tls_cert else None
