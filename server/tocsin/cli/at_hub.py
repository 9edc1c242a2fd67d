"""What all commands have in common that talk to a hub which runs somewhere: where, by whose right, how they end."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from tocsin.cli.terminal import safe
from tocsin.errors import SettingsError

if TYPE_CHECKING:
    import httpx

FAILED, BAD_OPTIONS, REFUSED, UNKNOWN = 1, 2, 3, 4
"""Exit codes: it could not be reached or can't now; the command line is wrong; it said no; nobody knows."""

TOKEN_VARIABLE = "TOCSIN_TOKEN"
MAX_TOKEN_BYTES = 64 * 1024


def at_hub(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give `command` the options ``--url`` and ``--token-file``; it gets `url` and `token` (a function).

    A token has no option of its own: everybody on the machine could read it in the list of processes.
    """

    @wraps(command)
    def with_token(*arguments: Any, token_file: Path | None, **options: Any) -> Any:
        if find_spec("httpx") is None:
            raise SettingsError("this command needs httpx: pip install 'tocsin[client]'")
        token = token_source(token_file)
        return command(*arguments, token=token, **options)

    with_file = click.option(
        "--token-file",
        type=click.Path(path_type=Path),
        envvar="TOCSIN_TOKEN_FILE",
        metavar="FILE",
        help=f"A key or token, read at each connection. [TOCSIN_TOKEN_FILE; or {TOKEN_VARIABLE} holds it]",
    )
    with_url = click.option(
        "--url",
        envvar="TOCSIN_URL",
        default="http://localhost:3000",
        metavar="URL",
        help="Where the hub is. [default http://localhost:3000; TOCSIN_URL]",
    )
    return with_url(with_file(with_token))


def token_source(path: Path | None) -> Callable[[], str]:
    """What is asked for a token: a file, which may be renewed meanwhile, or the environment. Empty is none.

    Raises:
        SettingsError: the file can't be read.
    """
    if path is None:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        return lambda: token
    _token_in(path)
    return lambda: _token_in(path)


def _token_in(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_TOKEN_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"--token-file: {path}: {error.strerror}") from None
    token = content.decode("ascii", "replace").strip()
    if not token or len(content) > MAX_TOKEN_BYTES or "\ufffd" in token:
        raise SettingsError(f"--token-file: {path}: allowed: one token, in ASCII")
    return token


def new_client() -> httpx.Client:
    """Sends a command's requests. It trusts what the system trusts, or what SSL_CERT_FILE names."""
    import httpx

    return httpx.Client(verify=ssl.create_default_context())


def exit_for(error: Exception, command: str) -> NoReturn:
    """End with one line, and the code that says what `error` of the client means."""
    from tocsin.client import Refused, UnknownOutcome

    code = FAILED
    if isinstance(error, UnknownOutcome):
        code = UNKNOWN
    elif isinstance(error, Refused):
        code = REFUSED
    elif isinstance(error, ValueError):
        code = BAD_OPTIONS
    fail(f"{command}: {error}", code)


def fail(message: str, code: int) -> NoReturn:
    """End with one line on standard error, whatever is in a path or a name that it tells of."""
    click.echo(f"tocsin: {safe(message)}", err=True)
    sys.exit(code)
