"""How many of its exact cosine neighbours a query finds by codes."""

import pandas as pd
from matplotlib.figure import Figure

from sdc.report import theme
from sdc.report.figures import panels
from sdc.report.runs import Runs


def frame(runs: Runs) -> pd.DataFrame:
    """The ``share`` of the ``k`` nearest by exact cosine that are among the first ``k``."""
    rows = [(*panels.key(run), *point) for run in runs.codes for point in panels.curve(run, "neighbour_recall@1")]
    return panels.tidy(rows, ["k", "share"])


@theme.style()
def draw(frame: pd.DataFrame) -> Figure:
    """A panel for each number of neighbours, the share against code length; of one length a bar for each method."""
    if frame.empty:
        return panels.words("Nothing to draw: exact cosine on the features is left out, or there are no queries.")
    numbers, lengths = list(dict.fromkeys(frame["k"])), panels.lengths(frame)
    if len(lengths) < 2:
        order = [method for method, _ in panels.methods(frame)]
        figure, axes = panels.panels(len(numbers), panels.COLUMNS, height=0.22 * len(order) + 0.3, sharey=True)
        for panel, k in zip(axes, numbers, strict=True):
            panels.bars(panel, frame[frame["k"] == k], "share", order)
            panel.set_title(f"{k} nearest", fontsize=8)
            panel.set_xlabel("found (%)")
        return figure
    figure, axes = panels.panels(len(numbers), panels.COLUMNS, height=2.5, sharey=True)
    for panel, k in zip(axes, numbers, strict=True):
        for method, rows in panels.methods(frame[frame["k"] == k]):
            share = 100 * rows.groupby("bits")["share"].mean()
            panel.plot(
                share.index, share, label=theme.title(method), **{"markersize": 3.5, **theme.look(method).keywords}
            )
        panel.set_xscale("log", base=2)
        panel.set_xticks(lengths, [str(bits) for bits in lengths])
        panel.minorticks_off()
        panel.set_xlabel("bits")
        panel.set_title(f"{k} nearest", fontsize=8)
    axes[0].set_ylabel("found (%)")
    panels.legend(figure, axes[0])
    return figure


def alternative(frame: pd.DataFrame) -> str:
    """In words."""
    ten = panels.at_longest(frame[frame["k"] == 10], "share")
    return f"Share of the 10 nearest by cosine that codes find, in percent: {ten}."
