"""MAP over two settings of an ablation."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sdc.report import theme
from sdc.report.runs import Runs
from sdc.report.tables import ablation


def frame(runs: Runs) -> pd.DataFrame:
    """``mAP`` in percent (blank where a run is missing) by ``backbone``, ``column`` of the table, and two settings."""
    table = ablation.make(runs)
    varied = runs.selection["ablation"]["varied"]
    places = dict.fromkeys((row[0], column) for row, column in table.scores)
    rows = [
        (backbone, column, *settings, table.mean((backbone, *settings), column))
        for backbone, column in places
        for settings in ablation.settings(runs.selection["ablation"]).values()
    ]
    return pd.DataFrame(rows, columns=["backbone", "column", *varied, "mAP"]).astype({"mAP": float})


@theme.style()
def draw(frame: pd.DataFrame) -> Figure:
    """The first setting downwards, the second across, a panel per backbone, dataset and bits.

    The range of colours is each panel's own, for datasets differ more than settings do.
    """
    first, second = frame.columns[2:4]
    down, across = (list(dict.fromkeys(frame[name])) for name in (first, second))
    panels = list(frame.groupby(["backbone", "column"], sort=False))
    size = (0.9 + 0.5 * len(across)) * len(panels), 0.9 + 0.38 * len(down)
    figure, axes = theme.subplots(1, len(panels), size)
    for axis, ((_, column), rows) in zip(axes[0], panels, strict=True):
        means = rows.pivot(index=first, columns=second, values="mAP").reindex(down, columns=across).to_numpy()
        image = axis.imshow(means, aspect="auto")
        middle = (np.nanmin(means) + np.nanmax(means)) / 2
        for (row, place), mean in np.ndenumerate(means):
            if not np.isnan(mean):
                ink = "white" if mean < middle else "black"
                axis.text(place, row, f"{mean:.1f}", ha="center", va="center", color=ink, fontsize=7)
        axis.set_xticks(range(len(across)), across)
        axis.set_yticks(range(len(down)), down)
        dataset, bits, *metric = str(column).split("/")
        axis.set(xlabel=second, ylabel=first, title=f"{dataset}, {bits} bits")
        axis.grid(visible=False)
        figure.colorbar(image, ax=axis, label=f"{metric[0] if metric else 'mAP'}, %")
    return figure


def alternative(frame: pd.DataFrame) -> str:
    """In words."""
    best = frame.sort_values("mAP", ascending=False, kind="stable").iloc[0]
    first, second = frame.columns[2:4]
    return f"mAP in percent by {first} and {second}; best: {best['mAP']:.1f} at {best[first]} and {best[second]}."
