"""``tocsin token``: makes tokens (JWT) for the hub, and explains them."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Any

import click

from tocsin.access import tokens
from tocsin.access.key_sets import read_set
from tocsin.cli.keys import patterns, with_rights
from tocsin.errors import SettingsError, Unauthorized

MAX_LIFETIME_S = 366 * 86_400
REASONS = {
    "malformed": "it is no token, or its claims are malformed",
    "unknown": "no key is known that could have signed it",
    "invalid": "the signature, the audience or the issuer is wrong, or `exp` is missing",
    "expired": "it has expired",
}


@click.group()
def token() -> None:
    """Make tokens (JWT), and explain them."""


@token.command()
@click.argument("subject")
@click.option(
    "--jwt-key",
    envvar="TOCSIN_JWT_KEY",
    required=True,
    metavar="KEY",
    help="The hub's secret, or file:PATH of one or of a private key in PEM. [TOCSIN_JWT_KEY]",
)
@with_rights
@click.option(
    "--lifetime",
    type=click.FloatRange(1, MAX_LIFETIME_S),
    default=3_600.0,
    show_default=True,
    help="Seconds until it expires.",
)
@click.option(
    "--jwt-audience", envvar="TOCSIN_JWT_AUDIENCE", help="Its `aud`. [TOCSIN_JWT_AUDIENCE]"
)
@click.option("--jwt-issuer", envvar="TOCSIN_JWT_ISSUER", help="Its `iss`. [TOCSIN_JWT_ISSUER]")
@click.option("--algorithm", help="It is signed with; by default what the key is made for.")
@click.option("--kid", help="Names the key, where the hub has a set of them.")
def make(
    subject: str,
    jwt_key: str,
    publish: tuple[str, ...],
    subscribe: tuple[str, ...],
    end: tuple[str, ...],
    admin: bool,
    lifetime: float,
    jwt_audience: str | None,
    jwt_issuer: str | None,
    algorithm: str | None,
    kid: str | None,
) -> None:
    """Print a token for SUBJECT with these rights."""
    given = {"publish": publish, "subscribe": subscribe, "end": end}
    rights: dict[str, Any] = {
        name: sorted(patterns(texts, name).texts) for name, texts in given.items() if texts
    }
    rights |= {"admin": True} if admin else {}
    now = int(time.time())
    claims: dict[str, Any] = {"sub": subject, "iat": now, "exp": now + int(lifetime)}
    claims |= {"aud": jwt_audience} if jwt_audience else {}
    claims |= {"iss": jwt_issuer} if jwt_issuer else {}
    claims[tokens.CLAIM] = rights
    try:
        tokens.principal_of(claims)
    except Unauthorized:
        raise SettingsError(
            f"token: {subject!r}: allowed: a subject of at most {tokens.MAX_NAME} printable characters"
        ) from None
    click.echo(tokens.sign(claims, jwt_key, algorithm, kid))


@token.command()
@click.argument("text", metavar="[TOKEN]", default="-")
@click.option("--jwt-key", envvar="TOCSIN_JWT_KEY", metavar="KEY", help="Verify it by this.")
@click.option("--jwt-jwks", envvar="TOCSIN_JWT_JWKS", metavar="FILE", help="Verify it by this set.")
@click.option("--jwt-audience", envvar="TOCSIN_JWT_AUDIENCE", default="", help="It must name.")
@click.option("--jwt-issuer", envvar="TOCSIN_JWT_ISSUER", default="", help="It must be of.")
def explain(
    text: str, jwt_key: str | None, jwt_jwks: str | None, jwt_audience: str, jwt_issuer: str
) -> None:
    """Say what TOKEN holds and allows; it is read from the input where it isn't given, so that `ps` doesn't show it."""
    text = (sys.stdin.read() if text == "-" else text).strip()
    header, claims = tokens.unverified(text)
    click.echo(f"header: {header}")
    for name, value in claims.items():
        shown = f"  ({_moment(value)})" if name in ("exp", "iat", "nbf") else ""
        click.echo(_in_one_line(f"{name}: {value}") + shown)
    try:
        principal = tokens.principal_of(claims)
    except Unauthorized:
        click.echo("rights: none: its claims are malformed, or it has no exp")
    else:
        click.echo(f"principal: {principal.name}")
        for right in ("publish", "subscribe", "end"):
            names = " ".join(sorted(getattr(principal, right).texts))
            click.echo(f"may {right}: {names or 'nothing'}")
        click.echo(f"is an operator: {'yes' if principal.is_admin else 'no'}")
    if not (jwt_key or jwt_jwks):
        click.echo("verified: no, as no --jwt-key and no --jwt-jwks was given")
        return
    reason = _why_not(text, jwt_key, jwt_jwks, jwt_audience, jwt_issuer)
    click.echo(f"verified: {'yes' if not reason else 'no: ' + reason}")
    if reason:
        sys.exit(1)


def _why_not(
    text: str, jwt_key: str | None, jwt_jwks: str | None, audience: str, issuer: str
) -> str:
    """Why the hub wouldn't take the token; empty where it would."""
    keys = [tokens.verifying_key(jwt_key, ())] if jwt_key else []
    if jwt_jwks:
        if "://" in jwt_jwks:
            raise SettingsError(f"--jwt-jwks: {jwt_jwks}: allowed here: a file")
        try:
            keys += tokens.keys_of_set(read_set(jwt_jwks), ())
        except ValueError as error:
            raise SettingsError(f"--jwt-jwks: {jwt_jwks}: {error}") from None
    wanted = tokens.Requirements(audience=audience, issuer=issuer)
    reason = "unknown"
    for key in keys:
        try:
            tokens.verify(text, key, wanted, time.time())
        except Unauthorized as error:
            reason = error.reason
        else:
            return ""
    return REASONS[reason]


def _in_one_line(text: str) -> str:
    """`text`, which may be a stranger's: it forges no line of what is said here, and commands no terminal."""
    return text if text.isprintable() else ascii(text)[1:-1]


def _moment(value: object) -> str:
    try:
        return f"{datetime.fromtimestamp(float(str(value)), UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "no time"
