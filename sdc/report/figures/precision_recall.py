"""Precision against recall, a point for each Hamming radius."""

import pandas as pd
from matplotlib.figure import Figure

from sdc.report import theme
from sdc.report.figures import panels
from sdc.report.runs import Runs


def frame(runs: Runs) -> pd.DataFrame:
    """``precision`` and ``recall`` within each ``radius``, in bits."""
    rows = []
    for run in runs.codes:
        rows += [(*panels.key(run), *point) for point in panels.curve(run, "precision@radius0", "recall@radius0")]
    return panels.tidy(rows, ["radius", "precision", "recall"])


@theme.style()
def draw(frame: pd.DataFrame) -> Figure:
    """A panel for each code length."""
    labels = ("recall (%)", "precision (%)")
    figure, axes = panels.by_bits(frame, "recall", "precision", order="radius", labels=labels)
    for panel in axes:
        panel.set(xlim=(0, 100), ylim=(0, 100))
    return figure


def alternative(frame: pd.DataFrame) -> str:
    """In words."""
    near = frame[frame["radius"] == 2]
    return f"Recall within Hamming radius 2, in percent: {panels.at_longest(near, 'recall')}."
