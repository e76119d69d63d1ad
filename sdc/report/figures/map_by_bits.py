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
    """A line for each method, and one across for the features; of one code length a bar for each method."""
    if frame.empty:
        return panels.words(panels.NO_LABELS)
    lengths = panels.lengths(frame)
    if len(lengths) < 2:
        return _bars(frame)
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
    panel.set_xscale("log", base=2)
    panel.set_xticks(lengths, [str(bits) for bits in lengths])
    panel.minorticks_off()
    panel.set(xlabel="bits", ylabel="mAP (%)")
    panels.legend(figure, panel)
    return figure


def _bars(frame: pd.DataFrame) -> Figure:
    """Of one code length: a bar for each method, the best first, and a line up for the features."""
    coded, features = frame[frame["method"] != "features"], frame[frame["method"] == "features"]
    means = coded.groupby("method", sort=False)["mAP"].mean().sort_values(ascending=False, kind="stable")
    figure, axes = theme.subplots(size=(panels.WIDTH, 0.22 * len(means) + 1))
    panel = axes[0, 0]
    panels.bars(panel, coded, "mAP", [*means.index])
    if len(features):
        panel.axvline(100 * features["mAP"].mean(), color=theme.INK, linewidth=1, label="features (cosine)")
        panels.legend(figure, panel)
    panel.set_xlabel("mAP (%)")
    return figure


def alternative(frame: pd.DataFrame) -> str:
    """In words."""
    return f"mAP in percent: {panels.at_longest(frame, 'mAP')}."
