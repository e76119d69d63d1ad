"""Class by class: mAP, and how far positive and negative pairs overlap."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sdc.report import theme
from sdc.report.figures import panels
from sdc.report.runs import Runs

_CLASSES = 20  # that one figure names, at most


def frame(runs: Runs) -> pd.DataFrame:
    """``mAP`` and ``overlap`` of the queries of each ``class``, of the features and of the longest codes.

    The overlap of their positive and negative pairs is on the K + 1 similarities of codes of K bits, and of features in
    as many bins (blank where there are too many classes). Classes without queries are left out.
    """
    rows = []
    coded = runs.longest
    bits = max((run.metrics["bits"] for run in coded), default=0)
    for run in (*runs.baselines, *coded):
        overlaps = run.overlaps() if run in runs.baselines else {}
        for row in run.rows("per_class.csv"):
            if row["mAP"]:
                overlap = overlaps.get((row["class"], bits), row.get(f"overlap_{bits + 1}_bins") or None)
                rows.append((*panels.key(run), row["class"], row["mAP"], overlap))
    return panels.tidy(rows, ["class", "mAP", "overlap"]).astype({"mAP": float, "overlap": float})


@theme.style()
def draw(frame: pd.DataFrame) -> Figure:
    """A row for each class, a mark for each method."""
    if frame.empty:
        return panels.words("Nothing to draw: this is of datasets in which every item has one class.")
    means = frame.groupby(["method", "class"], sort=False)[["mAP", "overlap"]].mean()
    shown, _ = _by_gain(frame)
    if len(shown) > _CLASSES:
        shown = [*shown[: _CLASSES // 2], *shown[-_CLASSES // 2 :]]
    figure, axes = theme.subplots(1, 2, size=(panels.WIDTH, 0.19 * len(shown) + 1.4), sharey=True)
    for panel, (column, label) in zip(axes[0], {"mAP": "mAP (%)", "overlap": "overlap (%)"}.items(), strict=True):
        for method, _ in panels.methods(frame):
            values = 100 * means.loc[method][column].reindex(shown)
            looks = {**theme.look(method).keywords, "linestyle": ""}
            if method == "features":
                looks |= {"marker": "|", "markersize": 11, "markeredgewidth": 1.6}
            panel.plot(values, range(len(shown)), label=theme.title(method), **{"markersize": 4, **looks})
        panel.set(xlabel=label, xlim=(-2, 102))
        panel.grid(axis="y", linewidth=0.4, alpha=0.6)
    axes[0, 0].set_yticks(range(len(shown)), [*map(str, shown)], parse_math=False)
    axes[0, 0].set_ylim(len(shown) - 0.5, -0.5)
    panels.legend(figure, axes[0, 0])
    return figure


def _by_gain(frame: pd.DataFrame) -> tuple[list[Any], str]:
    """Classes, those first in which a method gains most over the features, and what the method is.

    It is SDC, or the best one where SDC is not there; without the features, classes go by its mAP.
    """
    means = frame.groupby(["method", "class"], sort=False)["mAP"].mean().unstack(0, sort=False)
    coded = means.drop(columns="features", errors="ignore")
    method = "sdc" if "sdc" in coded else str(coded.mean().idxmax()) if len(coded.columns) else "features"
    gains = means[method] - (means["features"] if {"features"} < set(means) else 0)
    return list(gains.sort_values(ascending=False, kind="stable").index), method


def alternative(frame: pd.DataFrame) -> str:
    """In words."""
    if frame.empty:
        return "No classes."
    names, method = _by_gain(frame)
    means = 100 * frame[frame["method"] == method].groupby("class")[["mAP", "overlap"]].mean()
    ends = means.loc[list(dict.fromkeys((names[0], names[-1])))]
    scores = zip(ends.index, ends["mAP"], ends["overlap"], strict=True)
    text = ", ".join(f"{name!s} {score:.1f} (overlap {overlap:.1f})" for name, score, overlap in scores)
    return f"mAP of {theme.title(method)} in percent where it gains most and least over the features: {text}."
