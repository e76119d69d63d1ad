"""mAP against code length."""

import pandas as pd
from matplotlib.figure import Figure

from sdc.evaluation.metrics import headline_of
from sdc.report import theme
from sdc.report.figures import panels
from sdc.report.runs import Runs


def frame(runs: Runs) -> pd.DataFrame:
    """``mAP`` and its confidence interval over queries, ``low`` to ``high``; nothing without labels."""
    rows = []
    for run in runs.labelled:
        name = headline_of(run.metrics)
        rows.append((*panels.key(run), *(run.metrics.get(f"{name}{end}") for end in ("", "_low", "_high"))))
    return panels.tidy(rows, ["mAP", "low", "high"])


@theme.style()
def draw(frame: pd.DataFrame) -> Figure:
    """A line for each method, and one across for the features."""
    if frame.empty:
        return panels.words(panels.NO_LABELS)
    figure, axes = theme.subplots(size=(panels.WIDTH, 3.9))
    panel = axes[0, 0]
    for method, rows in panels.methods(frame):
        if method == "features":
            panel.axhline(100 * rows["mAP"].mean(), color=theme.INK, linewidth=1, label="features (cosine)")
            continue
        scores = rows.groupby("bits")["mAP"]
        mean, spread = 100 * scores.mean(), 100 * scores.std()
        panel.plot(mean.index, mean, label=theme.title(method), **theme.look(method).keywords)
        if spread.notna().any():
            panel.fill_between(mean.index, mean - spread, mean + spread, color=theme.colour(method), alpha=0.15, lw=0)
    lengths = panels.lengths(frame)
    panel.set_xscale("log", base=2)
    panel.set_xticks(lengths, [str(bits) for bits in lengths])
    panel.minorticks_off()
    panel.set(xlabel="bits", ylabel="mAP (%)")
    panels.legend(figure, panel)
    return figure


def alternative(frame: pd.DataFrame) -> str:
    """In words."""
    return f"mAP in percent: {panels.at_longest(frame, 'mAP')}."
