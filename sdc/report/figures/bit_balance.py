"""How many of the database's codes set each bit."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sdc.report import theme
from sdc.report.figures import panels
from sdc.report.runs import Run, Runs


def frame(runs: Runs) -> pd.DataFrame:
    """The ``share`` of the database's codes that set each ``bit``; of the first seed."""
    first: dict[tuple[Any, ...], Run] = {}
    for run in runs.codes:
        first.setdefault((run.metrics["method"], run.metrics["bits"]), run)
    rows = []
    for run in first.values():
        columns = run.columns("bits.csv")
        rows += [
            (*panels.key(run), int(bit), share) for bit, share in zip(columns["bit"], columns["share"], strict=True)
        ]
    return panels.tidy(rows, ["bit", "share"])


@theme.style()
def draw(frame: pd.DataFrame) -> Figure:
    """A panel for each code length, the bits of each method sorted."""
    ordered = frame.sort_values("share", kind="stable")
    ranks = ordered.groupby(["method", "bits"]).cumcount()
    # Back in the order of the methods.
    placed = ordered.assign(rank=ranks, place=ranks / (ordered["bits"] - 1)).sort_index()
    labels = ("bits, from the rarest set (%)", "codes that set it (%)")
    figure, axes = panels.by_bits(placed, "place", "share", labels=labels, order="rank", marker=None)
    for panel in axes:
        panel.axhline(50, color=theme.INK, linewidth=0.8, alpha=0.6)
        panel.set(ylim=(-2, 102), xlim=(0, 100))
    return figure


def alternative(frame: pd.DataFrame) -> str:
    """In words."""
    off = panels.at_longest(frame.assign(off=(2 * frame["share"] - 1).abs()), "off")
    return f"Share of codes that set each bit; how far it is from even, in percent: {off}."
