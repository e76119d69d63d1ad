"""Precision of the first K items."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sdc.report import theme
from sdc.report.figures import panels
from sdc.report.runs import Runs


def frame(runs: Runs) -> pd.DataFrame:
    """``precision`` and ``recall`` of the first ``k`` items: of codes on a grid of k, of features where scored."""
    rows: list[tuple[Any, ...]] = []
    for run in runs.baselines:
        rows += [(*panels.key(run), *point) for point in panels.curve(run, "P@1", "recall@1")]
    for run in runs.codes:
        columns = run.columns("ranks.csv")
        rows += [(*panels.key(run), int(k), *values) for k, *values in zip(*columns.values(), strict=True)]
    return panels.tidy(rows, ["k", "precision", "recall"])


@theme.style()
def draw(frame: pd.DataFrame) -> Figure:
    """A panel for each code length; the features, which have none, are in all of them."""
    coded, features = frame[frame["method"] != "features"], frame[frame["method"] == "features"]
    spread = [coded, *(features.assign(bits=bits) for bits in panels.lengths(frame))]
    labels = ("K (items, log scale)", "P@K (%)")
    figure, axes = panels.by_bits(pd.concat(spread, ignore_index=True), "k", "precision", labels=labels)
    for panel in axes:
        panel.set(ylim=(0, 100))
        panels.log_scale(panel, frame["k"])
    return figure


def alternative(frame: pd.DataFrame) -> str:
    """In words."""
    return f"Precision of the first item, in percent: {panels.at_longest(frame[frame['k'] == 1], 'precision')}."
