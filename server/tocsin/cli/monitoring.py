"""``tocsin monitoring``: writes out what Prometheus and Grafana need to watch hubs, with the addresses of one site."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import click

PACKAGED = Path(__file__).parents[1] / "monitoring"
CHECKOUT = Path(__file__).parents[3]

FOLDERS = {
    "": ("prometheus", "config/prometheus"),
    "grafana/dashboards": ("grafana/dashboards", "grafana/dashboards"),
    "grafana/provisioning": ("grafana/provisioning", "grafana/provisioning"),
}
"""What is written, to where it lies: in the wheel inside the package, and in a checkout."""

PAGES = ("monitoring.md", "metrics.md")
"""Of `docs/`: what to do when an alert fires, and what each metric says."""

RUNBOOKS = "https://example.com/tocsin/monitoring.md"
DASHBOARD = "http://localhost:3001/d/tocsin"
"""What stands in the files instead of a site's own addresses."""

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9._~:/@%+,;=!$&()*\[\]-]{1,500}")
"""One that can stand in YAML, in JSON and in a template of Prometheus as it is, and have a `?` or a `#` put behind it."""


def _address(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None or ADDRESS.fullmatch(value):
        return value
    raise click.BadParameter(f"{value!r}: allowed: an address without query, fragment and quotes")


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--runbooks",
    metavar="URL",
    callback=_address,
    help="Where monitoring.md is to be read; alerts lead there. By default the file in DIR.",
)
@click.option(
    "--dashboard",
    metavar="URL",
    callback=_address,
    default=DASHBOARD,
    show_default=True,
    help="Where Grafana has the dashboard.",
)
@click.option("--force", is_flag=True, help="Write over files that are there and differ.")
def monitoring(folder: Path, runbooks: str | None, dashboard: str, force: bool) -> None:
    """Write Prometheus' rules and configuration, Grafana's dashboard and its provisioning, and the runbook into DIR."""
    runbooks = runbooks or (folder / PAGES[0]).absolute().as_uri()
    addresses = {RUNBOOKS: runbooks, DASHBOARD: dashboard}
    files = {name: _with(text, addresses) for name, text in _files().items()}
    try:
        changed = [name for name, text in files.items() if _differs(folder / name, text)]
        if changed and not force:
            what = f"DIR: {folder / changed[0]} is there, and differs; allowed: another folder, or --force"
            raise click.UsageError(what)
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"DIR: {folder}: {error}") from None
    click.echo(f"{len(files)} files are in {folder}; begin with {folder / PAGES[0]}")


def _files() -> dict[str, str]:
    """All that is written: the path in the folder, and the text."""
    is_packaged = PACKAGED.is_dir()
    root = PACKAGED if is_packaged else CHECKOUT
    found: dict[str, str] = {}
    for to, (packaged, checkout) in FOLDERS.items():
        source = root / (packaged if is_packaged else checkout)
        for file in sorted(source.rglob("*")):
            if file.is_file():
                found[str(Path(to) / file.relative_to(source))] = file.read_text(encoding="utf-8")
    for page in PAGES:
        found[page] = (root / ("" if is_packaged else "docs") / page).read_text(encoding="utf-8")
    return found


def _with(text: str, addresses: Mapping[str, str]) -> str:
    for ours, theirs in addresses.items():
        text = text.replace(ours, theirs)
    return text


def _differs(file: Path, text: str) -> bool:
    """Whether `file` is there, and holds something else."""
    return file.exists() and file.read_text(encoding="utf-8") != text
