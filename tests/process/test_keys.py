"""`tocsin key` and `tocsin token`, as docs/access.md shows them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.access.keys import SECRET, bearer
from tests.hub_process import HubProcess
from tests.raw import exchange, get, notice, post

WITHOUT_PYJWT = "import sys; sys.modules['jwt'] = None; from tocsin.cli.main import main; main()"


def tocsin(
    folder: Path,
    *words: str,
    input: str = "",
    code: int = 0,
    environ: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command, and expect its exit code."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("TOCSIN_")}
    done = subprocess.run(
        [sys.executable, "-m", "tocsin", *words],
        cwd=folder,
        env=env | (environ or {}),
        input=input,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    return done


def test_key_is_added_changed_listed_and_revoked(tmp_path: Path) -> None:
    rights = ("--publish", "ci/*", "--subscribe", "*")
    first = tocsin(tmp_path, "key", "add", "ci", "--keys", "keys.toml", *rights).stdout.strip()
    hub = HubProcess("--keys", str(tmp_path / "keys.toml"))
    try:
        assert exchange(hub.port, post(notice(topic="ci/main"), bearer(first))).status == 200
    finally:
        hub.close()
    environ = {"TOCSIN_KEYS": "keys.toml"}
    second = tocsin(tmp_path, "key", "add", "ci", environ=environ).stdout.strip()
    assert first.startswith("tocsin_")
    assert first != second
    assert "has 2 secrets" in tocsin(tmp_path, "key", "add", "ci", code=2, environ=environ).stderr
    listed = tocsin(tmp_path, "key", "list", environ=environ).stdout
    assert listed == "ci: 2 secrets, without end: publish ci/*; subscribe *\n"
    tocsin(tmp_path, "key", "revoke", "ci", "--older", environ=environ)
    assert "ci: 1 secret," in tocsin(tmp_path, "key", "list", environ=environ).stdout
    tocsin(tmp_path, "key", "add", "ops", "--admin", "--expires", "2027-01-01", environ=environ)
    listed = tocsin(tmp_path, "key", "list", environ=environ).stdout
    assert "ops: 1 secret, until 2027-01-01 00:00:00 UTC: admin\n" in listed
    tocsin(tmp_path, "key", "revoke", "ci", environ=environ)
    assert "ci" not in tocsin(tmp_path, "key", "list", environ=environ).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "a b"), "'a b'"),
        (("add", "a", "--publish", "x*y"), "--publish"),
        (("add", "a", "--subscribe", "tocsin/*"), "reserved"),
        (("add", "a", "--expires", "soon"), "--expires: 'soon'"),
        (("revoke", "none"), "'none'"),
        (("list",), "No such file"),
    ],
)
def test_mistake_is_one_line_with_what_is_allowed(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    done = tocsin(tmp_path, "key", *words, "--keys", "keys.toml", code=2)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "keys.toml").exists()


def test_token_is_made_and_explained_and_the_hub_takes_it(tmp_path: Path) -> None:
    environ = {"TOCSIN_JWT_KEY": SECRET, "TOCSIN_JWT_AUDIENCE": "hub"}
    made = tocsin(tmp_path, "token", "make", "alice", "--subscribe", "chat/*", environ=environ)
    explained = tocsin(tmp_path, "token", "explain", input=made.stdout, environ=environ).stdout
    for line in (
        "principal: jwt:alice",
        "may subscribe: chat/*",
        "may end: nothing",
        "verified: yes",
    ):
        assert f"{line}\n" in explained
    environ["TOCSIN_JWT_AUDIENCE"] = "other"
    explained = tocsin(
        tmp_path, "token", "explain", input=made.stdout, code=1, environ=environ
    ).stdout
    assert "verified: no: the signature, the audience or the issuer is wrong" in explained
    hub = HubProcess(env={"TOCSIN_JWT_KEY": SECRET, "TOCSIN_JWT_AUDIENCE": "hub"})
    try:
        answer = exchange(hub.port, get("/api/session", bearer(made.stdout.strip())))
        assert answer.json["subscribe"] == ["chat/*"]
    finally:
        hub.close()


def test_token_may_be_signed_by_a_private_key_and_taken_by_its_public_one(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "private.pem").write_bytes(pem)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    made = tocsin(
        tmp_path, "token", "make", "a", environ={"TOCSIN_JWT_KEY": "file:private.pem"}
    ).stdout
    explained = tocsin(
        tmp_path, "token", "explain", "--jwt-key", "file:public.pem", input=made
    ).stdout
    assert "'alg': 'ES256'" in explained
    assert "verified: yes" in explained


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--keys", "none.toml"), "keys: none.toml: No such file"),
        (("--jwt-key", "short"), "jwt_key: (hidden)"),
        (("--jwt-jwks", "none.json"), "jwt_jwks: none.json"),
        (("--jwt-key", "s" * 40, "--jwt-algorithm", "RS256"), "jwt_algorithm: RS256"),
        (("--jwt-key", "s" * 40, "--ticket-key", "short"), "ticket_key: (hidden)"),
        (("--host", "0.0.0.0"), "--keys, --jwt-key, --jwt-jwks or --insecure"),
    ],
)
def test_keys_that_can_not_be_used_stop_the_start_and_are_not_shown(
    tmp_path: Path, flags: tuple[str, ...], said: str
) -> None:
    for command in ("serve", "check-config"):
        done = tocsin(tmp_path, command, *flags, code=2)
        assert said in done.stderr
        assert "Tocsin listens" not in done.stdout
        assert "short" not in done.stderr


def test_checked_settings_show_no_secret(tmp_path: Path) -> None:
    done = tocsin(tmp_path, "check-config", "--jwt-key", "s" * 40, "--ticket-key", "t" * 40)
    assert 'jwt_key = "(hidden)"' in done.stdout
    assert "s" * 40 not in done.stdout
    assert "t" * 40 not in done.stdout


@pytest.mark.parametrize(
    "words", [("serve", "--jwt-key", "s" * 40), ("token", "make", "a", "--jwt-key", "s" * 40)]
)
def test_missing_extra_is_named_with_what_to_install(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PYJWT, *words], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "pip install 'tocsin[jwt]'" in done.stderr


def test_token_that_is_explained_forges_no_line_and_commands_no_terminal(tmp_path: Path) -> None:
    forged = {"sub": "a", "exp": 1, "x": "\x1b[2J\nverified: yes", "y\nz": 1}
    text = jwt.encode(forged, SECRET)
    explained = tocsin(tmp_path, "token", "explain", input=text).stdout
    assert "\x1b" not in explained
    lines = explained.splitlines()
    assert [line for line in lines if line.startswith(("verified", "z"))] == [
        "verified: no, as no --jwt-key and no --jwt-jwks was given"
    ]


@pytest.mark.parametrize("expires", ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00"])
def test_key_ends_at_a_time_that_can_be_shown(tmp_path: Path, expires: str) -> None:
    words = ("key", "add", "a", "--keys", "keys.toml", "--expires", expires)
    assert "--expires: " in tocsin(tmp_path, *words, code=2).stderr
    hashed = "sha256:" + "0" * 64
    (tmp_path / "keys.toml").write_text(f'[a]\nsecrets = ["{hashed}"]\nexpires = {expires}\n')
    assert "a.expires" in tocsin(tmp_path, "serve", "--keys", "keys.toml", code=2).stderr


def test_file_of_keys_that_is_nested_without_end_is_none(tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text("a = " + "[" * 5_000)
    assert (
        "not a TOML file" in tocsin(tmp_path, "key", "list", "--keys", "keys.toml", code=2).stderr
    )
