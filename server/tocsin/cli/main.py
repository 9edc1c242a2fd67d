"""The command ``tocsin``. Its flags are read off `Settings`; its errors are one line.

What a command alone needs, it imports itself: the hub takes a third of a second, and a shell completes at each key.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import click
import msgspec
from click.shell_completion import CompletionItem, get_completion_class

from tocsin import logs
from tocsin.cli.at_hub import fail
from tocsin.errors import PortTaken, SettingsError
from tocsin.settings import (
    ENVIRONMENT_PREFIX,
    FIELDS,
    GROUPS,
    Settings,
    choices,
    client_limit,
    describe,
    is_repeatable,
    is_switch,
    load,
    load_with_sources,
    raise_descriptor_limit,
    service_links,
    shown_value,
)
from tocsin.supervised import worker_of
from tocsin.version import VERSION

log = logging.getLogger("tocsin")

PORT_TAKEN = 1
FAILED = 1
BAD_SETTINGS = 2


def _as_toml(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_as_toml(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)


class WithSettings(click.Command):
    """A command with a flag for each setting; its help has them in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group, and one for what is no setting."""
        records = {p.name: p.get_help_record(ctx) for p in self.get_params(ctx)}
        grouped = {name for names in GROUPS.values() for name in names}
        others = [name for name in FIELDS if name not in grouped]
        commands_own = [name for name in records if name not in FIELDS]
        for title, names in {**GROUPS, "More": others, "Other options": commands_own}.items():
            rows = [record for name in names if (record := records.get(name))]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give `command` a flag for each setting, and ``--config``."""
    for name in reversed(FIELDS):
        as_flag: dict[str, Any] = (
            {"is_flag": True, "default": None} if is_switch(name) else {"metavar": "VALUE"}
        )
        command = click.option(
            "--" + name.replace("_", "-"),
            name,
            multiple=is_repeatable(name),
            shell_complete=partial(_completions, name),
            help=f"{describe(name)} [{_shown_default(name)}{ENVIRONMENT_PREFIX}{name.upper()}]",
            **as_flag,
        )(command)
    return click.option(
        "--config",
        envvar="TOCSIN_CONFIG",
        type=click.Path(),
        metavar="FILE",
        help="Settings as TOML. [TOCSIN_CONFIG]",
    )(command)


def _completions(
    name: str, context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """What a shell offers for setting `name`: its words, or files."""
    if describe(name).startswith("File "):
        return [CompletionItem(begun, type="file")]
    return [CompletionItem(word) for word in choices(name) if word.startswith(begun)]


def _shown_default(name: str) -> str:
    """The default of setting `name`, for its line of the help; empty where it has none to speak of."""
    default = FIELDS[name].default
    if is_switch(name) or default in ("", ()):
        return ""
    if name.endswith("_bytes") and default:
        return f"default {_size(default)}; "
    shown = " ".join(default) if isinstance(default, tuple) else default
    return f"default {shown:g}; " if isinstance(default, float) else f"default {shown}; "


def _size(count: int) -> str:
    """A number of bytes, in the largest unit that divides it."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count % unit == 0:
            return f"{count // unit} {name}"
    return str(count)


def _load(config: str | None, flags: dict[str, object]) -> Settings:
    raise_descriptor_limit()
    settings = load(flags, os.environ, config)
    client_limit(settings)
    return settings


MODULES = {
    "doctor": "tocsin.cli.doctor.command",
    "journal": "tocsin.cli.journal",
    "key": "tocsin.cli.keys",
    "monitoring": "tocsin.cli.monitoring",
    "publish": "tocsin.cli.publish",
    "tail": "tocsin.cli.tail",
    "token": "tocsin.cli.token",
}
"""Commands in modules of their own."""


class Commands(click.Group):
    """Imports the module of a command when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in order."""
        return sorted({*super().list_commands(ctx), *MODULES})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, or None."""
        if cmd_name not in MODULES:
            return super().get_command(ctx, cmd_name)
        found: click.Command = getattr(import_module(MODULES[cmd_name]), cmd_name)
        return found


@click.group(cls=Commands, invoke_without_command=True)
@click.version_option(VERSION, message="tocsin %(version)s")
@click.pass_context
def tocsin(context: click.Context) -> None:
    """A self-hosted hub for real-time notifications over Server-Sent Events."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@tocsin.command(cls=WithSettings)
@_with_settings
def serve(config: str | None, **flags: object) -> None:
    """Run the hub until SIGTERM or Ctrl-C."""
    from tocsin.app import serve as serve_hub
    from tocsin.cli.supervisor import supervise

    worker = worker_of()
    settings = _load(config, flags)
    if worker and settings.process_count == 1:  # read again, and changed meanwhile
        raise SettingsError("processes: 1: allowed: more than 1, until the supervisor is restarted")
    logs.configure(
        settings.log_level,
        settings.log_format,
        settings.audit_level,
        settings.log_sampling,
        settings.log_alike,
    )
    ignored = service_links(os.environ)
    if ignored:
        text = "ignored: what Kubernetes makes of a Service named tocsin (enableServiceLinks)"
        log.warning(text, extra={"variables": " ".join(sorted(ignored))})
    faulthandler.enable()  # where memory is refused, libraries in C may crash: then it is said where
    try:
        if settings.process_count > 1 and not worker:
            code = asyncio.run(supervise(settings))
            sys.exit(code)
        asyncio.run(serve_hub(settings, worker))
    except PortTaken as error:
        fail(str(error), PORT_TAKEN)
    except SettingsError:
        raise
    except Exception:  # the edge of the process: in the log's form, and never with exit code 0
        log.exception("the hub failed")
        sys.exit(FAILED)
    finally:
        logging.shutdown()


@tocsin.command(
    "check-config",
    cls=WithSettings,
    short_help="Say what the settings are, and where each is from.",
)
@_with_settings
def check_config(config: str | None, **flags: object) -> None:
    """Say what all settings come to, as TOML, and where each is from; or what is wrong with them.

    Secrets are hidden. The hub isn't started; exit code 0 says that it would take the settings.
    """
    from tocsin.access.authentication import authentication_of

    raise_descriptor_limit()
    settings, sources = load_with_sources(flags, os.environ, config)
    client_limit(settings)
    authentication_of(settings)
    for name, field in FIELDS.items():
        is_default = getattr(settings, name) == field.default
        source = sources.get(name, "default" if is_default else "default, as the others are")
        click.echo(f"{name} = {_as_toml(shown_value(settings, name))} # {source}")


@tocsin.command(short_help="Print what makes a shell complete the command.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the lines that make SHELL complete commands and options.

    Put them where it reads them: `tocsin completion bash > ~/.local/share/bash-completion/completions/tocsin`.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(tocsin, {}, "tocsin", "_TOCSIN_COMPLETE").source())


@tocsin.command(cls=WithSettings, short_help="Print the description of the API.")
@_with_settings
def openapi(config: str | None, **flags: object) -> None:
    """Print the description of the API (OpenAPI 3.1), as /openapi.json of a hub with these settings has it."""
    from tocsin.app import openapi as describe_api

    click.echo(msgspec.json.format(describe_api(_load(config, flags))))


@tocsin.command(short_help="Put load on a hub, and say what it holds.")
@click.argument("url", default="http://localhost:3000")
@click.option(
    "--clients", type=click.IntRange(1), default=1_000, show_default=True, help="Open streams."
)
@click.option(
    "--publishers",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="Publishing connections.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1),
    default=10.0,
    show_default=True,
    help="How long to publish.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0),
    default=0.0,
    help="Events a second in all; by default as many as it answers.",
)
@click.option(
    "--message-bytes",
    type=click.IntRange(10),
    default=100,
    show_default=True,
    help="Size of each message.",
)
def bench(url: str, **load: Any) -> None:
    """Put load on the hub at URL, and say what it and all that is in front of it hold.

    The streams and the events are of a topic of their own, but the events do enter the history.
    """
    from tocsin.bench import BenchError
    from tocsin.bench import bench as run_bench

    try:
        outcome = run_bench(url, **load)
    except BenchError as error:
        fail(f"bench: {error}", FAILED)
    if outcome.missing or outcome.errors:
        sys.exit(FAILED)


def main() -> None:
    """The entry point: every mistake of the operator is one line on standard error."""
    try:
        code = tocsin(standalone_mode=False)
    except click.ClickException as error:
        fail(error.format_message().replace("\n", " "), BAD_SETTINGS)
    except SettingsError as error:
        fail(str(error), BAD_SETTINGS)
    except click.Abort:
        sys.exit(130)
    sys.exit(code or 0)
