"""Draws the results. Runs in the benchmarks' own Python environment, which has matplotlib.

usage: python plots.py RESULTS.json FOLDER        writes FOLDER/NAME.svg, and NAME.svg per line to stdout
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl

mpl.use("svg")  # before pyplot looks for a display
import matplotlib.pyplot as plt

BARS = {
    "one-after-the-other": ("deliveries_per_s", "deliveries/s", "linear"),
    "at-once": ("deliveries_per_s", "deliveries/s", "log"),
    "memory": ("kib_per_client", "KiB a client", "linear"),
    "pace": ("fan_out_p99", "p99 to the last reader, ms", "linear"),
}
LINES = {
    "growth-clients": ("us_per_delivery", "server's processor time a delivery, µs", "clients"),
    "growth-replay": ("us_per_replayed", "server's processor time an event, µs", "events missed"),
}
HUB, OTHERS = (
    "#b3261e",
    ("#4c6a92", "#8fa9c8", "#5f7f5f", "#a5b89a", "#b5905a", "#7d6b91", "#999999"),
)


def middles(by_peer: dict[str, list[dict[str, float]]], figure: str) -> dict[str, float]:
    """The median by peer."""
    return {peer: median(s[figure] for s in samples) for peer, samples in by_peer.items()}


def colours(peers: list[str]) -> dict[str, str]:
    """The hub stands out."""
    return {
        peer: HUB if peer == "tocsin" else OTHERS[i % len(OTHERS)] for i, peer in enumerate(peers)
    }


def bars(row: dict[str, Any], titles: dict[str, str], figure: str, label: str, scale: str) -> None:
    """A group of bars for each case, horizontal, the hub on top."""
    cases = row["samples"]
    height = sum(len(by_peer) for by_peer in cases.values())
    _, all_axes = plt.subplots(
        len(cases),
        1,
        figsize=(8, 0.9 * len(cases) + 0.34 * height),
        squeeze=False,
        gridspec_kw={"height_ratios": [len(by_peer) for by_peer in cases.values()]},
    )
    for axes, (case, by_peer) in zip(all_axes[:, 0], cases.items(), strict=True):
        values = middles(by_peer, figure)
        colour = colours(list(values))
        drawn = axes.barh(
            [titles[p] for p in values], list(values.values()), color=list(colour.values())
        )
        axes.bar_label(
            drawn, fmt="{:,.4g}" if max(values.values()) < 1000 else "{:,.0f}", padding=3
        )
        axes.set(xscale=scale, xlabel=label, title=case)
        axes.margins(x=0.15)
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)


def lines(row: dict[str, Any], titles: dict[str, str], figure: str, label: str, along: str) -> None:
    """A line for each peer over the cases, whose names begin with a number."""
    _, axes = plt.subplots(figsize=(8, 4))
    peers = list(dict.fromkeys(peer for by_peer in row["samples"].values() for peer in by_peer))
    for peer, colour in colours(peers).items():
        points = [
            (int(case.split()[0].replace(",", "")), middles(by_peer, figure)[peer])
            for case, by_peer in row["samples"].items()
            if peer in by_peer
        ]
        axes.plot(*zip(*points, strict=True), marker="o", color=colour, label=titles[peer])
    axes.set(xscale="log", xlabel=along, ylabel=label)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def main(source: Path, folder: Path) -> None:
    """Draw each row that has results."""
    results = json.loads(source.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    mpl.rcParams["svg.hashsalt"] = "tocsin"  # the same figures give the same file
    for name, draw, arguments in [
        *((name, bars, of) for name, of in BARS.items()),
        *((name, lines, of) for name, of in LINES.items()),
    ]:
        row = results["rows"].get(name)
        if row and row["samples"]:
            draw(row, results["titles"], *arguments)
            plt.tight_layout()
            plt.savefig(folder / f"{name}.svg", metadata={"Date": None})
            plt.close()
            print(f"{name}.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
