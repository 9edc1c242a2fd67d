"""``tocsin key``: makes, lists and revokes API keys, in the file that the hub reads with ``--keys``."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from tocsin.access.keys import (
    MAX_SECRETS,
    NAME,
    Key,
    digest_of,
    new_secret,
    read_keys,
    write_keys,
)
from tocsin.access.rights import Patterns
from tocsin.errors import InvalidInput, SettingsError

HANGUP = "A hub that runs reads it on SIGHUP."


def in_file(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give `command` the option that names the file of keys."""
    return click.option(
        "--keys", "path", envvar="TOCSIN_KEYS", required=True, metavar="FILE", help="The file."
    )(command)


def with_rights(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give `command` an option for each right."""
    for name in ("end", "subscribe", "publish"):
        help = f"Topic, or prefix with *, that it may {name}; repeatable."
        command = click.option(f"--{name}", multiple=True, metavar="PATTERN", help=help)(command)
    admin = click.option("--admin", is_flag=True, help="An operator's: streams and metrics.")
    return admin(command)


@click.group()
def key() -> None:
    """Make, list and revoke API keys."""


@key.command()
@click.argument("name")
@in_file
@with_rights
@click.option(
    "--expires", metavar="TIME", help="When it ends: 2027-01-01, or with time and offset."
)
def add(
    name: str,
    path: str,
    publish: tuple[str, ...],
    subscribe: tuple[str, ...],
    end: tuple[str, ...],
    admin: bool,
    expires: str | None,
) -> None:
    """Make the key NAME and print its secret, which is kept nowhere. Of a key that exists, make a second secret."""
    keys = _read(path)
    secret = new_secret()
    digest = digest_of(secret)
    if name in keys:
        if publish or subscribe or end or admin or expires:
            raise SettingsError(
                f"key: {name}: exists, with rights of its own; allowed: no right, for a second secret"
            )
        there = keys[name]
        if len(there.digests) >= MAX_SECRETS:
            raise SettingsError(
                f"key: {name}: has {MAX_SECRETS} secrets; allowed: another one after `tocsin key revoke {name} --older`"
            )
        keys[name] = msgspec.structs.replace(there, digests=(*there.digests, digest))
    else:
        if not NAME.fullmatch(name):
            raise SettingsError(f"key: {name!r}: allowed: up to 64 letters, digits, _ and -")
        keys[name] = Key(
            name=name,
            digests=(digest,),
            publish=patterns(publish, "publish"),
            subscribe=patterns(subscribe, "subscribe"),
            end=patterns(end, "end"),
            is_admin=admin,
            expires_at=_time(expires) if expires else math.inf,
        )
    write_keys(path, keys)
    click.echo(secret)
    click.echo(f"The secret of key {name} is shown this once. {HANGUP}", err=True)


@key.command("list")
@in_file
def list_keys(path: str) -> None:
    """Say which keys there are, and what they may do."""
    for each in read_keys(path):
        rights = [
            f"{name} {' '.join(sorted(patterns.texts))}"
            for name, patterns in (
                ("publish", each.publish),
                ("subscribe", each.subscribe),
                ("end", each.end),
            )
            if patterns
        ]
        rights += ["admin"] if each.is_admin else []
        secrets = f"{len(each.digests)} secret{'s' if len(each.digests) > 1 else ''}"
        click.echo(f"{each.name}: {secrets}, {_until(each)}: {'; '.join(rights) or 'no rights'}")


@key.command()
@click.argument("name")
@in_file
@click.option("--older", is_flag=True, help="Only the older of its two secrets.")
def revoke(name: str, path: str, older: bool) -> None:
    """Revoke the key NAME."""
    keys = _read(path)
    if name not in keys:
        raise SettingsError(f"key: {name!r}: isn't in {path}; allowed: {', '.join(keys) or 'none'}")
    if older:
        if len(keys[name].digests) < MAX_SECRETS:
            raise SettingsError(f"key: {name}: has one secret; allowed: without --older")
        keys[name] = msgspec.structs.replace(keys[name], digests=keys[name].digests[1:])
    else:
        del keys[name]
    write_keys(path, keys)
    click.echo(f"Revoked. {HANGUP}", err=True)


def patterns(texts: Sequence[str], option: str) -> Patterns:
    """The patterns that `option` was given.

    Raises:
        SettingsError: one of them could never match, or there are too many.
    """
    try:
        return Patterns.parse(texts, option)
    except InvalidInput as error:
        raise SettingsError(f"--{option}: {error.message}") from None


def _read(path: str) -> dict[str, Key]:
    """The keys by name; none where there is no file yet."""
    return {each.name: each for each in read_keys(path)} if os.path.exists(path) else {}


def _time(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        allowed = "a date and time as ISO 8601: 2027-01-01T00:00:00Z"
        raise SettingsError(f"--expires: {text!r}: allowed: {allowed}") from None


def _until(key: Key) -> str:
    if key.expires_at == math.inf:
        return "without end"
    return f"until {datetime.fromtimestamp(key.expires_at, UTC):%Y-%m-%d %H:%M:%S} UTC"
