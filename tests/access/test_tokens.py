from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.access.keys import SECRET, KeyFile, claims, token
from tocsin.access.authentication import Authentication, digest_of_bearer
from tocsin.access.keys import digest_of
from tocsin.access.principal import Principal
from tocsin.access.tokens import (
    Requirements,
    VerifyingKey,
    keys_of_set,
    sign,
    verify,
    verifying_key,
)
from tocsin.errors import SettingsError, Unauthorized
from tocsin.settings import Settings

PRIVATE: dict[str, Any] = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def public_pem(algorithm: str) -> str:
    public = PRIVATE[algorithm].public_key()
    pem: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def private_pem(algorithm: str) -> str:
    pem: bytes = PRIVATE[algorithm].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


def key_set(**algorithms: str) -> bytes:
    """A key set: by `kid`, whose key."""
    entries = []
    for kid, algorithm in algorithms.items():
        public = PRIVATE[algorithm].public_key()
        entry = json.loads(jwt.get_algorithm_by_name(algorithm).to_jwk(public))
        entries.append(entry | {"kid": kid, "use": "sig"})
    return json.dumps({"keys": entries}).encode()


def unsigned(header: dict[str, Any], payload: dict[str, Any], signature: str = "") -> str:
    parts = [
        urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in (header, payload)
    ]
    return ".".join([*parts, signature])


NO_DETAIL = "the credentials are not valid, or no longer"


def by_secret(*algorithms: str) -> VerifyingKey:
    return verifying_key(SECRET, algorithms)


def reason_for(text: str, key: VerifyingKey, **requirements: str) -> str:
    """Why `text` is refused; empty where it isn't."""
    try:
        verify(text, key, Requirements(**requirements), time.time())
    except Unauthorized as error:
        return error.reason if error.message == NO_DETAIL else error.message
    return ""


def test_token_says_who_its_bearer_is_and_what_they_may_do() -> None:
    rights = {"publish": ["a/*"], "subscribe": ["*"], "admin": True}
    principal = verify(token(tocsin=rights), by_secret(), Requirements(), time.time())
    assert principal.name == "jwt:alice"
    assert principal.publish.texts == {"a/*"}
    assert principal.reads_everything
    assert principal.is_admin
    assert not principal.end
    assert time.time() < principal.expires_at < time.time() + 700


def test_token_without_our_claim_has_no_rights() -> None:
    principal = verify(token(), by_secret(), Requirements(), time.time())
    assert principal == Principal(name="jwt:alice", expires_at=principal.expires_at)


BAD: dict[str, tuple[str, str]] = {
    # what is wrong with it: the token, and what it counts as
    "expired": (token(lifetime_s=-1), "expired"),
    "expired-long-ago": (token(lifetime_s=-1e6), "expired"),
    "no-exp": (token(exp=None), "invalid"),
    "exp-is-text": (token(exp="tomorrow"), "invalid"),
    "exp-is-infinite": (unsigned({"alg": "HS256"}, {"exp": 1e999}, "x"), "invalid"),
    "not-yet": (token(nbf=int(time.time()) + 600), "invalid"),
    "from-the-future": (token(iat=int(time.time()) + 600), "invalid"),
    "other-secret": (token(key="another secret, of 32 bytes and more"), "invalid"),
    "other-algorithm": (token(algorithm="HS512", key=SECRET * 2), "invalid"),
    "none": (unsigned({"alg": "none"}, claims()), "invalid"),
    "None": (unsigned({"alg": "None", "typ": "JWT"}, claims(), "x"), "invalid"),
    "no-signature": (token().rpartition(".")[0] + ".", "invalid"),
    "changed": (token()[:-4] + "AAAA", "invalid"),
    "no-alg": (unsigned({"typ": "JWT"}, claims(), "x"), "invalid"),
    "not-json": ("a.b.c", "invalid"),
    "empty-parts": ("..", "invalid"),
    "deep": (unsigned({"alg": "HS256", "x": []}, {}, "x").replace("W10", "W1" * 9_000), "invalid"),
    "name-is-a-number": (token(sub=7), "invalid"),
    "name-too-long": (token(sub="a" * 300), "malformed"),
    "name-with-a-line": (token(sub="a\nb"), "malformed"),
    "rights-are-text": (token(tocsin="*"), "malformed"),
    "rights-are-a-string": (token(tocsin={"publish": "*"}), "malformed"),
    "pattern-is-none": (token(tocsin={"publish": ["a*b"]}), "malformed"),
    "hubs-own-topics": (token(tocsin={"subscribe": ["tocsin/*"]}), "malformed"),
    "admin-is-text": (token(tocsin={"admin": "yes"}), "malformed"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_token_is_refused_without_saying_why(name: str) -> None:
    text, reason = BAD[name]
    assert reason_for(text, by_secret()) == reason


def test_public_key_is_no_secret_of_an_hmac() -> None:
    """The confusion of RS256 with HS256: the attacker signs with the public key, which everybody has."""
    import hashlib
    import hmac

    pem = public_pem("RS256")
    said = unsigned({"alg": "HS256"}, claims()).rstrip(".")
    mac = hmac.new(pem.encode(), said.encode(), hashlib.sha256).digest()
    forged = f"{said}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    assert reason_for(forged, verifying_key(pem, ())) == "invalid"
    with pytest.raises(SettingsError, match="HS256: allowed for the key of jwt_key: RS256"):
        verifying_key(pem, ["HS256"])


@pytest.mark.parametrize("algorithm", PRIVATE)
def test_public_key_in_pem_verifies_what_its_private_one_signed(algorithm: str) -> None:
    key = verifying_key(public_pem(algorithm), ())
    assert key.algorithms == (algorithm,)
    assert reason_for(token(key=PRIVATE[algorithm], algorithm=algorithm), key) == ""
    other = next(each for each in PRIVATE if each != algorithm)
    assert reason_for(token(key=PRIVATE[other], algorithm=other), key) == "invalid"
    assert reason_for(sign(claims(), private_pem(algorithm), None, None), key) == ""


def test_audience_and_issuer_are_asked_for_where_they_are_set() -> None:
    right = token(aud=["x", "hub"], iss="id")
    key = by_secret()
    assert reason_for(right, key, audience="hub", issuer="id") == ""
    assert reason_for(right, key) == ""
    assert reason_for(right, key, audience="other") == "invalid"
    assert reason_for(right, key, issuer="other") == "invalid"
    assert reason_for(token(), key, audience="hub") == "invalid"
    assert reason_for(token(), key, issuer="id") == "invalid"


def test_clock_of_who_makes_tokens_may_be_ahead_by_some_seconds() -> None:
    assert reason_for(token(iat=int(time.time()) + 3), by_secret()) == ""


def test_key_may_lie_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(public_pem("ES384"))
    assert verifying_key(f"file:{path}", ()).algorithms == ("ES384",)


@pytest.mark.parametrize(
    "value", ["short", "file:/nowhere/key.pem", "-----BEGIN PUBLIC KEY-----\nx"]
)
def test_key_that_is_none_is_named_without_showing_it(value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        verifying_key(value, ())
    assert "jwt_key" in str(refused.value)
    assert "short" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_private_key_is_refused_where_a_public_one_is_asked_for() -> None:
    with pytest.raises(SettingsError, match="a private one is for who makes tokens"):
        verifying_key(private_pem("ES256"), ())


def test_keys_of_a_set_are_pinned_to_what_they_are_for() -> None:
    keys = keys_of_set(key_set(a="RS256", b="ES384", c="EdDSA"), ())
    assert [(key.kid, key.algorithms) for key in keys] == [
        ("a", ("RS256",)),
        ("b", ("ES384",)),
        ("c", ("EdDSA",)),
    ]
    assert [key.kid for key in keys_of_set(key_set(a="RS256", b="ES384"), ["ES384"])] == ["b"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"keys": 1}',
        b'{"keys": []}',
        b'{"keys": [1, null, {}]}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}',
        b'{"keys": [{"kty": "RSA", "n": "AQ", "e": "x", "kid": "a"}]}',
        key_set(a="RS256").replace(b'"sig"', b'"enc"'),
        json.dumps({"keys": [{}] * 101}).encode(),
        b'{"keys": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    ],
)
def test_set_without_a_key_that_can_be_used_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"(?i)key set"):
        keys_of_set(content, ())


def test_verified_token_is_remembered_until_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    authentication = Authentication(Settings(jwt_key=SECRET), lambda: now)
    text = "Bearer " + token(lifetime_s=600)
    principal = authentication.of_bearer(text)
    assert authentication.of_bearer(text) is principal
    now += 601
    with pytest.raises(Unauthorized) as refused:
        authentication.of_bearer(text)
    assert refused.value.reason == "expired"


def test_digest_of_a_token_stands_for_it_as_long_as_the_token_counts() -> None:
    now = time.time()
    authentication = Authentication(Settings(jwt_key=SECRET), lambda: now)
    text = "Bearer " + token(lifetime_s=600)
    digest = digest_of_bearer(text)
    assert authentication.of_digest(digest) is None  # who bears it has to prove it first
    principal = authentication.of_bearer(text)
    assert authentication.of_digest(digest) is principal
    now += 601
    assert authentication.of_digest(digest) is None


async def test_digest_stands_for_nobody_when_the_set_has_lost_the_key(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    path.write_bytes(key_set(a="RS256"))
    authentication = Authentication(Settings(jwt_jwks=str(path)))
    text = "Bearer " + token(key=PRIVATE["RS256"], algorithm="RS256", kid="a")
    digest = digest_of_bearer(text)
    assert authentication.of_bearer(text) is authentication.of_digest(digest)
    path.write_bytes(key_set(b="ES384"))
    await authentication.reload()
    assert authentication.of_digest(digest) is None
    with pytest.raises(Unauthorized):
        authentication.of_bearer(text)


def test_secrets_and_signatures_are_compared_in_constant_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the hub knows meets what a stranger sent in `hmac.compare_digest` alone; a key's secret as its digest."""
    compared: list[Any] = []
    compare_digest = hmac.compare_digest

    def spy(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return compare_digest(one, other)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    keys = KeyFile(tmp_path)
    keys.add("ci")
    authentication = Authentication(Settings(jwt_key=SECRET, keys=keys.path))
    digest = digest_of(keys.secrets["ci"])

    key = authentication.of_bearer(f"Bearer {keys.secrets['ci']}")
    assert key
    assert compared == [(digest, digest)]
    assert authentication.of_digest(digest) is key
    assert compared == [(digest, digest)] * 2

    forged = token(key=SECRET[::-1])
    with pytest.raises(Unauthorized):
        authentication.of_bearer(f"Bearer {forged}")
    said, _, signature = forged.rpartition(".")
    right = hmac.digest(SECRET.encode(), said.encode(), "sha256")
    assert compared[-1] == (urlsafe_b64decode(signature + "="), right)

    ticket, _ = authentication.issue("ticket", key)
    said, _, signature = ticket.rpartition(".")
    with pytest.raises(Unauthorized):
        authentication.of_ticket("ticket", f"{said}.{signature[::-1]}")
    assert compared[-1] == (signature[::-1], signature)


def test_remembered_tokens_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.access.authentication.MAX_VERIFIED", 3)
    authentication = Authentication(Settings(jwt_key=SECRET))
    for number in range(10):
        authentication.of_bearer("Bearer " + token(sub=f"{number}"))
    assert "verified=3" in repr(authentication)


def test_remembered_tokens_are_bounded_by_their_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.access.authentication.MAX_VERIFIED_BYTES", 2_000)
    authentication = Authentication(Settings(jwt_key=SECRET))
    texts = [token(sub=f"{number}" * 200) for number in range(10)]
    for text in texts:
        authentication.of_bearer("Bearer " + text)
    assert f"verified={2_000 // len(texts[0])})" in repr(authentication)
    authentication.of_bearer("Bearer " + token(sub="x" * 249, jti="y" * 2_000))
    assert "verified=0" in repr(authentication)


@pytest.mark.parametrize("bits", [512, 1_024])
def test_rsa_key_that_can_be_broken_is_refused(bits: int) -> None:
    public = weak_rsa_key(bits)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(SettingsError, match=f"{bits} bits: allowed: 2048 bits or more"):
        verifying_key(pem, ())
    entry = json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(public))
    with pytest.raises(ValueError, match="no public key"):
        keys_of_set(json.dumps({"keys": [entry]}).encode(), ())


def weak_rsa_key(bits: int) -> rsa.RSAPublicKey:
    """One whose modulus is just a number of that length: there is no library left that makes small pairs."""
    return rsa.RSAPublicNumbers(65_537, 2 ** (bits - 1) + 1).public_key()


@pytest.mark.parametrize(
    "credentials",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "bearer a b",
        "Bearer a,b",
        "Bearer é",
        "Token x",
        "Bearer \x00",
    ],
)
def test_header_that_bears_no_token_is_refused(credentials: str) -> None:
    authentication = Authentication(Settings(jwt_key=SECRET))
    with pytest.raises(Unauthorized) as refused:
        authentication.of_bearer(credentials)
    assert refused.value.reason == "malformed"
    assert digest_of_bearer(credentials) == b""


def test_scheme_is_taken_in_any_case() -> None:
    authentication = Authentication(Settings(jwt_key=SECRET))
    assert authentication.of_bearer("bEARER  " + token())
