"""Training curves: the loss and its terms by epoch."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sdc.report import theme
from sdc.report.figures import panels
from sdc.report.runs import Runs


def frame(runs: Runs) -> pd.DataFrame:
    """The ``value`` of every ``term`` of the loss in every ``epoch``, of the longest codes."""
    rows: list[tuple[Any, ...]] = []
    for run in runs.longest:
        for row in runs.curve(run):
            terms = [name for name in row if name not in ("epoch", "learning_rate", "seconds")]
            rows += [(*panels.key(run), int(row["epoch"]), term, float(row[term])) for term in terms]
    return panels.tidy(rows, ["epoch", "term", "value"])


@theme.style()
def draw(frame: pd.DataFrame) -> Figure:
    """A panel for each method that is trained step by step."""
    groups = panels.methods(frame)
    if not groups:
        return panels.words("No method here is trained step by step.")
    figure, axes = panels.panels(len(groups), panels.COLUMNS, height=1.55)
    for panel, (method, rows) in zip(axes, groups, strict=True):
        for place, (term, values) in enumerate(rows.groupby("term", sort=False)):
            curve = values.groupby("epoch")["value"].mean()
            looks: dict[str, Any] = {"linestyle": (0, (3, 1 + place)), "linewidth": 1.1}
            looks["color"] = theme.PALETTE[place % len(theme.PALETTE)]
            looks |= {"color": theme.INK, "linestyle": "-", "linewidth": 1.4} if term == "loss" else {}
            panel.plot(curve.index, curve, label=term, **looks)
        panel.set_title(theme.title(method), fontsize=8)
        panel.tick_params(labelsize=7)
        low, high = panel.get_ylim()
        panel.set_ylim(low, high + 0.35 * (high - low))  # room for the words
        panel.legend(loc="upper right", ncols=2, fontsize=6, labelspacing=0.2, handlelength=1.6, borderaxespad=0.1)
    figure.supxlabel("epoch", fontsize=8)
    figure.supylabel("loss and its terms", fontsize=8)
    return figure


def alternative(frame: pd.DataFrame) -> str:
    """In words."""
    total = panels.methods(frame[frame["term"] == "loss"])
    ends = {method: f"{rows['value'].iloc[0]:.3g} to {rows['value'].iloc[-1]:.3g}" for method, rows in total}
    return f"Training loss by epoch, from the first to the last: {panels.enumerated(ends)}."
