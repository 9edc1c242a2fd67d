"""API keys and tokens as tests need them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jwt

from tocsin.access.keys import Key, digest_of, new_secret, read_keys, write_keys
from tocsin.access.rights import Patterns

SECRET = "a secret of tests, which has 32 bytes and more"


class KeyFile:
    """A file of keys; `secrets` has the newest secret of each by its name."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "keys.toml")
        self.secrets: dict[str, str] = {}
        write_keys(self.path, {})

    def add(self, name: str, **rights: Any) -> str:
        """Make a key, or one more secret of it, and return the header line that bears it."""
        if "admin" in rights:
            rights["is_admin"] = rights.pop("admin")
        keys = {key.name: key for key in read_keys(self.path)}
        secret = self.secrets[name] = new_secret()
        for right in ("publish", "subscribe", "end"):
            if right in rights:
                rights[right] = Patterns(rights[right])
        before = keys[name].digests if name in keys else ()
        keys[name] = Key(name=name, digests=(*before, digest_of(secret)), **rights)
        write_keys(self.path, keys)
        return bearer(secret)

    def remove(self, name: str) -> None:
        write_keys(self.path, {key.name: key for key in read_keys(self.path) if key.name != name})


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


def claims(*, lifetime_s: float = 600, **more: Any) -> dict[str, Any]:
    """Of a token; `tocsin` says what it may do."""
    found = {"sub": "alice", "exp": int(time.time() + lifetime_s), **more}
    return {name: value for name, value in found.items() if value is not None}


def token(*, key: Any = SECRET, algorithm: str = "HS256", kid: str = "", **more: Any) -> str:
    """A token that lets its bearer do what `tocsin` says."""
    headers = {"kid": kid} if kid else None
    return jwt.encode(claims(**more), key, algorithm=algorithm, headers=headers)
