"""``tocsin doctor``: the command."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from tocsin.cli.at_hub import FAILED, at_hub
from tocsin.cli.terminal import has_colors, safe
from tocsin.errors import SettingsError

if TYPE_CHECKING:
    from tocsin.cli.doctor.finding import Finding

MARKS = {"ok": "ok     ", "note": "note   ", "wrong": "WRONG  ", "skipped": "skipped"}
COLORS = {"ok": "green", "note": "yellow", "wrong": "red", "skipped": "bright_black"}


@click.command(short_help="Try what is between clients and a hub.")
@click.argument("address", metavar="[URL]", required=False)
@at_hub
@click.option("--topic", help="To publish on, and to read. [default doctor/ and a number drawn]")
@click.option(
    "--origin", default="", help="A page's that is to read from elsewhere: https://app.example."
)
@click.option("--quick", is_flag=True, help="Don't wait for a heartbeat.")
@click.option(
    "--restart",
    type=click.FloatRange(1, 3_600),
    metavar="SECONDS",
    help="Wait so long for you to stop the hub, and say what browsers see then.",
)
@click.option("--json", "as_json", is_flag=True, help="An object a line.")
def doctor(
    address: str | None,
    url: str,
    token: Callable[[], str],
    topic: str | None,
    origin: str,
    quick: bool,
    restart: float | None,
    as_json: bool,
) -> None:
    """Try the hub at URL through all that is in front of it, as a browser would, and say what to change.

    Some small events are published, on a topic of its own. It takes as long as a heartbeat. While the hub is away it says
    what an EventSource sees now. Exit code 0: nothing is wrong. 1: something is, or no hub is there. 2: the command line.
    """
    import httpx

    from tocsin.cli.doctor.examination import findings
    from tocsin.cli.doctor.visit import Visit, trusted

    place = address or url
    if not place.startswith(("http://", "https://")) or "?" in place or "#" in place:
        raise SettingsError(f"doctor: {place!r}: allowed: http:// or https://, without a query")

    async def examine() -> bool:
        async with httpx.AsyncClient(verify=trusted()) as client:
            visit = Visit(place, token(), topic or "", client)
            is_well = True
            async for finding in findings(visit, origin, quick, restart):
                show(finding, as_json)
                is_well &= finding.verdict != "wrong"
            return is_well

    sys.exit(0 if asyncio.run(examine()) else FAILED)


def show(finding: Finding, as_json: bool) -> None:
    """Print one, for people or as JSON."""
    if as_json:
        click.echo(safe(json.dumps(asdict(finding), ensure_ascii=False)))
        return
    mark = MARKS[finding.verdict]
    if has_colors(sys.stdout):
        mark = click.style(mark, fg=COLORS[finding.verdict], bold=finding.verdict == "wrong")
    click.echo(f"{mark}  {finding.check}: {safe(finding.text)}")
    if finding.cure:
        click.echo(f"           {finding.cure}")
