"""API keys: a file that lists them, without their secrets.

A TOML file, a table for each key; `tocsin key` writes it:

    [ci]
    secrets = ["sha256:…"]        # one, or two while the secret is being changed for another
    publish = ["ci/*"]
    subscribe = ["*"]
    end = []
    admin = false
    expires = 2027-01-01T00:00:00Z   # may be left out

A secret is 256 random bits, made here and never chosen by people. So its plain SHA-256 is enough: there is nothing to
guess, and what makes the hash of a password slow would be paid for by each request.
"""

from __future__ import annotations

import hmac
import math
import os
import re
import secrets
import stat
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeGuard

import msgspec

from tocsin.access.principal import Principal
from tocsin.access.rights import NOTHING, Patterns
from tocsin.errors import InvalidInput, SettingsError

PREFIX = "tocsin_"
"""What secrets begin with: scanners find by it those that were published by mistake."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
HASH = re.compile(r"sha256:([0-9a-f]{64})")
FIELDS = frozenset({"secrets", "publish", "subscribe", "end", "admin", "expires"})

MAX_SECRETS = 2
MAX_FILE_BYTES = 4 * 1024 * 1024
"""Some ten thousand keys."""

HEADER = "# API keys of Tocsin: hashes of their secrets, and their rights. `tocsin key` writes this file.\n"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key, as the file has it.

    Attributes:
        digests: SHA-256 of each live secret, the oldest first; 1 to `MAX_SECRETS`.
        expires_at: Unix time; infinite if it has none.
    """

    name: str
    digests: tuple[bytes, ...]
    publish: Patterns = NOTHING
    subscribe: Patterns = NOTHING
    end: Patterns = NOTHING
    is_admin: bool = False
    expires_at: float = math.inf

    def principal(self, digest: bytes) -> Principal:
        """Who bears the secret of `digest`."""
        return Principal(
            name=f"key:{self.name}",
            publish=self.publish,
            subscribe=self.subscribe,
            end=self.end,
            is_admin=self.is_admin,
            expires_at=self.expires_at,
            digest=digest,
        )


def new_secret() -> str:
    """A new secret."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(secret: str) -> bytes:
    """What is kept of a secret, and what it is found by."""
    return sha256(secret.encode()).digest()


class KeyTable:
    """Keys by their secrets.

    Args:
        keys: all of them.
        before: the table that this one replaces: who is the same there and here stays the same object, so that
            their streams go on.
    """

    def __init__(self, keys: Sequence[Key] = (), before: KeyTable | None = None) -> None:
        self._by_digest: dict[bytes, Principal] = {}
        for key in keys:
            for digest in key.digests:
                principal = key.principal(digest)
                known = before._by_digest.get(digest) if before else None
                self._by_digest[digest] = known if known == principal else principal
        self._by_name = {(p.name, generation_of(p)): p for p in self._by_digest.values()}

    def find(self, digest: bytes) -> Principal | None:
        """Whose secret has this digest. Whether it has expired is the caller's to see.

        The digest is looked up, and compared once more in constant time. A look-up takes longer or less long by what
        digests begin with, and nobody can make a secret that has a digest of their choice.
        """
        principal = self._by_digest.get(digest)
        if principal is None or not hmac.compare_digest(principal.digest, digest):
            return None
        return principal

    def find_key(self, name: str, generation: str) -> Principal | None:
        """The principal `name` whose digest begins with `generation` in hexadecimal."""
        return self._by_name.get((name, generation))

    def has(self, principal: Principal) -> bool:
        """Whether `principal`, which this table or an earlier one gave, is still one of its own."""
        return self._by_digest.get(principal.digest) is principal

    def next_expiry(self, now: float) -> float:
        """The Unix time at which a key expires next, after `now`; infinite where none does."""
        times = [principal.expires_at for principal in self._by_digest.values()]
        return min([at for at in times if at > now], default=math.inf)

    def __len__(self) -> int:
        return len(self._by_digest)


def generation_of(principal: Principal) -> str:
    """Tells the secrets of one key apart, and says nothing of them."""
    return principal.digest[:8].hex()


# --- the file ---------------------------------------------------------------------------------------


def read_keys(path: str) -> list[Key]:
    """The keys of the file at `path`.

    Raises:
        SettingsError: it can't be read, others may write it, or it is no file of keys.
    """
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"keys: {path}: {error.strerror}") from None
    if mode & stat.S_IWOTH:
        raise SettingsError(f"keys: {path}: everybody may write it; allowed: chmod o-w")
    if len(content) > MAX_FILE_BYTES:
        raise SettingsError(f"keys: {path}: allowed: at most {MAX_FILE_BYTES} bytes")
    try:
        table = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"keys: {path}: not a TOML file: {error}") from None
    try:
        keys = [_key(name, fields) for name, fields in table.items()]
    except InvalidInput as error:
        raise SettingsError(f"keys: {path}: {error.message}") from None
    digests = [digest for key in keys for digest in key.digests]
    if len(set(digests)) < len(digests):
        raise SettingsError(f"keys: {path}: a secret stands there twice; allowed: once")
    return keys


def _key(name: str, fields: Any) -> Key:
    if not NAME.fullmatch(name) or not isinstance(fields, dict):
        raise _invalid(name, "a table [name] of letters, digits, _ and -, 64 at most")
    if unknown := fields.keys() - FIELDS:
        raise _invalid(f"{name}.{min(unknown)}", ", ".join(sorted(FIELDS)))
    hashes = fields.get("secrets")
    found = [HASH.fullmatch(each) for each in hashes] if _are_texts(hashes) else []
    if not 1 <= len(found) <= MAX_SECRETS or not all(found):
        raise _invalid(f"{name}.secrets", f"1 to {MAX_SECRETS} hashes sha256:… of 64 digits")
    admin = fields.get("admin", False)
    if not isinstance(admin, bool):
        raise _invalid(f"{name}.admin", "true or false")
    return Key(
        name=name,
        digests=tuple(bytes.fromhex(each[1]) for each in found if each),
        publish=Patterns.parse(fields.get("publish", []), f"{name}.publish"),
        subscribe=Patterns.parse(fields.get("subscribe", []), f"{name}.subscribe"),
        end=Patterns.parse(fields.get("end", []), f"{name}.end"),
        is_admin=admin,
        expires_at=_expiry(name, fields.get("expires")),
    )


def _are_texts(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _expiry(name: str, value: Any) -> float:
    if value is None:
        return math.inf
    if not isinstance(value, datetime) or value.tzinfo is None or not is_in_utc(value):
        raise _invalid(f"{name}.expires", "a date and time with its offset: 2027-01-01T00:00:00Z")
    return value.timestamp()


def is_in_utc(moment: datetime) -> bool:
    """Whether `moment`, which has an offset, lies in the years 1 to 9999 of UTC too: else nothing can show it."""
    try:
        moment.astimezone(UTC)
    except OverflowError:
        return False
    return True


def _invalid(key: str, allowed: str) -> InvalidInput:
    return InvalidInput(f"{key}: allowed: {allowed}", code="invalid_key", field=key)


def write_keys(path: str, keys: Mapping[str, Key]) -> None:
    """Put `keys` into the file at `path`, at once: whoever reads it finds the old ones or the new ones.

    A new file is its owner's alone; one that exists keeps its mode, and its owner where that is possible.

    Raises:
        SettingsError: it can't be written.
    """
    target = Path(path).resolve()
    text = HEADER + "".join(_as_toml(key) for key in keys.values())
    try:
        there = target.stat() if target.exists() else None
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                if there:
                    os.fchmod(file.fileno(), stat.S_IMODE(there.st_mode))
                    if (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
                        os.fchown(file.fileno(), there.st_uid, there.st_gid)
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise SettingsError(f"keys: {path}: {error.strerror}") from None


def _as_toml(key: Key) -> str:
    hashes = [f"sha256:{digest.hex()}" for digest in key.digests]
    lines = [
        f"\n[{key.name}]",
        f"secrets = {_list(hashes)}",
        f"publish = {_list(sorted(key.publish.texts))}",
        f"subscribe = {_list(sorted(key.subscribe.texts))}",
        f"end = {_list(sorted(key.end.texts))}",
        f"admin = {str(key.is_admin).lower()}",
    ]
    if key.expires_at != math.inf:
        lines.append(f"expires = {datetime.fromtimestamp(key.expires_at, UTC).isoformat()}")
    return "\n".join(lines) + "\n"


def _list(texts: Sequence[str]) -> str:
    """A TOML array; hashes and patterns have no character that needs an escape."""
    return "[" + ", ".join(f'"{text}"' for text in texts) + "]"
