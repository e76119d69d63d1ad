"""Histograms of the similarities of positive and negative pairs, and how far they overlap."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sdc.evaluation.collapse import overlaps
from sdc.report import theme
from sdc.report.figures import panels
from sdc.report.runs import Runs


def frame(runs: Runs) -> pd.DataFrame:
    """``positive_pairs`` and ``negative_pairs`` at each ``similarity``: of the features and of the longest codes."""
    rows = []
    for run in (*runs.baselines, *runs.longest):
        columns = run.columns("pairs.csv")
        for similarity, *counts in zip(*columns.values(), strict=True):
            rows.append((*panels.key(run), similarity, *map(int, counts)))
    return panels.tidy(rows, ["similarity", "positive_pairs", "negative_pairs"])


def overlap(pairs: pd.DataFrame) -> float:
    """Histogram intersection of ``positive_pairs`` and ``negative_pairs``, in [0, 1]; NaN if one kind is missing."""
    return float(overlaps(pairs[["positive_pairs", "negative_pairs"]].to_numpy(float).T[None])[0])


@theme.style()
def draw(frame: pd.DataFrame) -> Figure:
    """A panel for the features and for each method."""
    groups = panels.methods(frame)
    if not groups:
        return panels.words(panels.BY_LABEL_ONLY)
    figure, axes = panels.panels(len(groups), 4, height=1.25, sharex=True)
    for panel, (method, rows) in zip(axes, groups, strict=True):
        counts = rows.groupby("similarity")[["positive_pairs", "negative_pairs"]].sum()
        middle = counts.index.to_numpy()
        half = (middle[1] - middle[0]) / 2
        edges = np.append(middle - half, middle[-1] + half)
        for name, colour, dashes in (("negative", theme.NEGATIVE, (0, (4, 1.5))), ("positive", theme.POSITIVE, "-")):
            share = counts[f"{name}_pairs"] / max(1, counts[f"{name}_pairs"].sum())
            panel.stairs(share, edges, fill=True, color=colour, alpha=0.3, linewidth=0)
            panel.stairs(share, edges, color=colour, linestyle=dashes, linewidth=1, label=f"{name} pairs")
        panel.set_title(theme.title(method), fontsize=8)
        value = overlap(counts)
        if np.isfinite(value):
            panel.text(0.03, 0.95, f"overlap\n{value:.3f}", transform=panel.transAxes, va="top", fontsize=7)
        panel.set(yticks=[], xlim=(-1.05, 1.05), xticks=[-1, 0, 1])
        panel.margins(y=0.25)
        panel.tick_params(labelsize=7, labelbottom=panel in axes[-4:])
    figure.supxlabel("similarity: of features their cosine, of codes 1 − 2 d / bits", fontsize=8)
    panels.legend(figure, axes[0], above=True)
    return figure


def alternative(frame: pd.DataFrame) -> str:
    """In words."""
    values = {method: f"{overlap(rows):.3f}" for method, rows in panels.methods(frame)}
    overlaps = panels.enumerated(values)
    return f"Histograms of the similarity of positive and of negative pairs; their overlap: {overlaps}."
