"""JSON Web Tokens: what one must be, and who it says its bearer is. PyJWT reads them; which keys may be used how is said here.

Each key is pinned to its algorithms before a token is looked at: what a token says of its own algorithm only has to be
one of them. So there is no `none`, and a public key never serves as the secret of an HMAC (RFC 8725, section 3.1).

PyJWT is an extra. It is imported where a token is read or made: with the cryptography that it needs it is a sixth of
what a hub's start takes, and most hubs have no tokens.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from tocsin.access.principal import Principal
from tocsin.access.rights import Patterns
from tocsin.errors import InvalidInput, SettingsError, Unauthorized

CLAIM = "tocsin"
"""The claim that says what the bearer may do."""

ALGORITHMS: Mapping[str, Sequence[str]] = {
    "oct": ("HS256", "HS384", "HS512"),
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
"""By the kind of a key (RFC 7518, section 6.1). The first one is meant where nobody says which."""

EC_ALGORITHMS = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}

LEAST_RSA_BITS = 2_048
"""Of an RSA key (RFC 7518, section 3.3): those of 512 bits are broken on one machine in hours."""

LEAST_SECRET_BYTES = 32
"""Of a secret for HMAC (RFC 7518, section 3.2): a shorter one can be found by trying."""

MAX_NAME = 250
MAX_KEYS = 100
MAX_KID = 256
CLOCK_SKEW_S = 5.0
"""How far the clock of who makes tokens may be ahead (`iat`, `nbf`); `exp` is held to."""

FILE = "file:"
NEEDS_EXTRA = "needs PyJWT: pip install 'tocsin[jwt]'"

_PEM = re.compile(r"-----BEGIN [A-Z ]*(PUBLIC KEY|CERTIFICATE)-----")


class VerifyingKey(msgspec.Struct, frozen=True):
    """A key, and the algorithms that it may be used for."""

    key: Any
    algorithms: tuple[str, ...]
    kid: str = ""

    def __repr__(self) -> str:
        return f"VerifyingKey({self.kid!r}, {self.algorithms})"


class Requirements(msgspec.Struct, frozen=True, kw_only=True):
    """What a token must say beside its signature; empty asks for nothing."""

    audience: str = ""
    issuer: str = ""


def require_extra(setting: str) -> None:
    """Raises SettingsError: PyJWT isn't installed, and `setting` can't do without."""
    if find_spec("jwt") is None:
        raise SettingsError(f"{setting}: {NEEDS_EXTRA}")


def read_secret(value: str, setting: str) -> str:
    """What `value` says: itself, or what the file holds that it names (``file:PATH``).

    Raises:
        SettingsError: the file can't be read.
    """
    if not value.startswith(FILE):
        return value
    path = value.removeprefix(FILE)
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text"
        raise SettingsError(f"{setting}: {path}: {reason}") from None


def verifying_key(value: str, algorithms: Sequence[str]) -> VerifyingKey:
    """The key of the setting `jwt_key`: a secret, or a public key in PEM; pinned to `algorithms` if any are given.

    Raises:
        SettingsError: it is too short, it can't be read, or the algorithms aren't for it.
    """
    require_extra("jwt_key")
    text = read_secret(value, "jwt_key")
    if "-----BEGIN" not in text:
        if len(text.encode()) < LEAST_SECRET_BYTES:
            raise SettingsError(
                f"jwt_key: (hidden): allowed: a secret of {LEAST_SECRET_BYTES} bytes or more, or file: and the"
                " path of a public key in PEM"
            )
        return VerifyingKey(text.encode(), _pinned("oct", "", algorithms, "jwt_key"))
    if not _PEM.search(text):
        raise SettingsError(
            "jwt_key: (hidden): allowed: a public key; a private one is for who makes tokens"
        )
    kind, key, curve = _public_key(text)
    return VerifyingKey(key, _pinned(kind, curve, algorithms, "jwt_key"))


def _public_key(pem: str) -> tuple[str, Any, str]:
    """Kind, key and curve."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from cryptography.x509 import load_pem_x509_certificate

    try:
        if "CERTIFICATE" in pem:
            key: Any = load_pem_x509_certificate(pem.encode()).public_key()
        else:
            key = load_pem_public_key(pem.encode())
    except Exception:  # the library raises errors of many kinds, some of which quote the text
        raise SettingsError("jwt_key: (hidden): allowed: a public key in PEM") from None
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < LEAST_RSA_BITS:
            raise SettingsError(
                f"jwt_key: an RSA key of {key.key_size} bits: allowed: {LEAST_RSA_BITS} bits or more"
            )
        return "RSA", key, ""
    if isinstance(key, ec.EllipticCurvePublicKey):
        curves = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
        return "EC", key, curves.get(key.curve.name, key.curve.name)
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return "OKP", key, ""
    raise SettingsError("jwt_key: (hidden): allowed: an RSA, EC or Ed25519 public key")


def _pinned(kind: str, curve: str, wanted: Sequence[str], setting: str) -> tuple[str, ...]:
    """The algorithms that a key of `kind` is used for.

    Raises:
        SettingsError: none of `wanted` is for it.
    """
    possible = ALGORITHMS[kind]
    if kind == "EC":
        possible = (EC_ALGORITHMS[curve],) if curve in EC_ALGORITHMS else ()
    if not wanted:
        pinned = tuple(possible[:1])
    else:
        pinned = tuple(each for each in possible if each in wanted)
    if not pinned:
        raise SettingsError(
            f"jwt_algorithm: {', '.join(wanted) or kind}: allowed for the key of {setting}:"
            f" {', '.join(possible) or 'another curve'}"
        )
    return pinned


def keys_of_set(content: bytes, algorithms: Sequence[str]) -> list[VerifyingKey]:
    """The signing keys of a JSON Web Key Set (RFC 7517); those that are for something else are passed over.

    Secrets (`oct`) are too: whoever may read the set could make tokens.

    Raises:
        ValueError: it is no key set, or has no key that can be used.
    """
    try:
        entries = msgspec.json.decode(content, type=dict[str, Any])["keys"]
    except (msgspec.DecodeError, KeyError, UnicodeDecodeError, RecursionError):
        raise ValueError("not a JSON Web Key Set") from None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise ValueError(f"not a JSON Web Key Set of at most {MAX_KEYS} keys")
    found = [key for entry in entries if (key := _key_of_set(entry, algorithms))]
    if not found:
        raise ValueError("the key set has no public key for an algorithm that is taken")
    return found


def _key_of_set(entry: Any, wanted: Sequence[str]) -> VerifyingKey | None:
    import jwt

    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    kind, kid, own = entry.get("kty"), entry.get("kid", ""), entry.get("alg")
    if kind not in ("RSA", "EC", "OKP") or not isinstance(kid, str) or len(kid) > MAX_KID:
        return None
    named = (own,) if isinstance(own, str) else ()
    if own and wanted and own not in wanted:
        return None
    try:
        algorithms = _pinned(kind, str(entry.get("crv", "")), named or wanted, "the set")
        public = {name: value for name, value in entry.items() if name not in ("d", "p", "q")}
        key = jwt.PyJWK(public, algorithm=algorithms[0]).key
    except (SettingsError, jwt.PyJWTError, ValueError, TypeError):
        return None
    if kind == "RSA" and key.key_size < LEAST_RSA_BITS:
        return None
    return VerifyingKey(key, algorithms, kid)


def key_id_of(token: str) -> str:
    """The `kid` that `token` names; empty if it names none.

    Raises:
        Unauthorized: it is no token.
    """
    import jwt

    try:
        kid = jwt.get_unverified_header(token).get("kid", "")
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise refused("malformed") from None
    if not isinstance(kid, str) or len(kid) > MAX_KID:
        raise refused("malformed")
    return kid


def verify(token: str, key: VerifyingKey, requirements: Requirements, now: float) -> Principal:
    """Who bears `token`, which `key` must have signed.

    Raises:
        Unauthorized: it isn't valid; `reason` says why, the message doesn't.
    """
    import jwt

    required = ["exp"]
    required += ["aud"] if requirements.audience else []
    required += ["iss"] if requirements.issuer else []
    try:
        claims = jwt.decode(
            token,
            key.key,
            algorithms=list(key.algorithms),
            audience=requirements.audience or None,
            issuer=requirements.issuer or None,
            leeway=CLOCK_SKEW_S,
            options={"require": required, "verify_aud": bool(requirements.audience)},
        )
    except jwt.ExpiredSignatureError:
        raise refused("expired") from None
    except (jwt.InvalidTokenError, jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise refused("invalid") from None
    principal = principal_of(claims)
    if principal.expires_at <= now:
        raise refused("expired")
    return principal


def principal_of(claims: Mapping[str, Any]) -> Principal:
    """Who the claims of a verified token name.

    Raises:
        Unauthorized: they are malformed.
    """
    name, rights, expires_at = claims.get("sub", ""), claims.get(CLAIM, {}), claims.get("exp")
    if not isinstance(name, str) or len(name) > MAX_NAME or not name.isprintable():
        raise refused("malformed")
    if not isinstance(rights, dict) or not isinstance(rights.get("admin", False), bool):
        raise refused("malformed")
    if not isinstance(expires_at, int | float) or not math.isfinite(expires_at):
        raise refused("malformed")
    try:
        return Principal(
            name=f"jwt:{name}",
            publish=Patterns.parse(rights.get("publish", []), "publish"),
            subscribe=Patterns.parse(rights.get("subscribe", []), "subscribe"),
            end=Patterns.parse(rights.get("end", []), "end"),
            is_admin=rights.get("admin", False),
            expires_at=float(expires_at),
        )
    except InvalidInput:
        raise refused("malformed") from None


def refused(reason: str) -> Unauthorized:
    """The error for credentials that are no good. What is wrong with them only the log and the counts say."""
    return Unauthorized("the credentials are not valid, or no longer", reason=reason)


# --- for who makes tokens -----------------------------------------------------------------------------


def sign(claims: Mapping[str, Any], value: str, algorithm: str | None, kid: str | None) -> str:
    """A token of `claims`, signed by the key that `value` says: a secret, or a private key in PEM.

    Raises:
        SettingsError: PyJWT is missing, the key can't be used, or not with `algorithm`.
    """
    require_extra("jwt_key")
    import jwt

    text = read_secret(value, "jwt_key")
    if "-----BEGIN" in text:
        public = _public_part(text)
        algorithms = verifying_key(public, (algorithm,) if algorithm else ()).algorithms
    else:
        algorithms = verifying_key(text, (algorithm,) if algorithm else ()).algorithms
    headers = {"kid": kid} if kid else None
    return str(jwt.encode(dict(claims), text, algorithm=algorithms[0], headers=headers))


def _public_part(pem: str) -> str:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )

    try:
        key = load_pem_private_key(pem.encode(), None)
    except Exception:  # as in `_public_key`
        raise SettingsError(
            "jwt_key: (hidden): allowed: a private key in PEM, without a password"
        ) from None
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of `token`, whoever signed it.

    Raises:
        SettingsError: it is no token.
    """
    require_extra("token")
    import jwt

    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise SettingsError("token: (hidden): allowed: a JSON Web Token") from None
    return parts["header"], parts["payload"]
