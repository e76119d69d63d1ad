"""What a setting is worth: a row per value, or a heat map over two settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from sdc.report import tables, theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _text(value: Any) -> str:
    return "none" if value is None else str(value)


def table(
    ablation: Mapping[str, Any],
    runs: Sequence[Mapping[str, Any]],
    missing: tables.Missing = MappingProxyType({}),
    cells: tables.Published = MappingProxyType({}),
) -> tables.Table:
    """MAP by what was varied, a column per dataset and bits.

    Args:
        ablation: ``varied``, its keys; ``rows``, pairs of a method and their values (``grid.ablation_run``).
        runs: Of these methods.
        missing, cells: See ``tables.filled``.
    """
    values = dict(ablation["rows"])

    def row_of(run: Mapping[str, Any]) -> tables.Row:
        return (run["backbone"], *map(_text, values[run["method"]]))

    empty = tables.Table(title=f"Ablation: {ablation['name']}", names=("backbone", *ablation["varied"]))
    return tables.filled(empty, runs, row_of, tables.headline, missing, cells)


def heat_map(ablation: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> Figure:
    """MAP over two settings: the first downwards, the second across, a panel per backbone, dataset and bits.

    The range of colours is each panel's own, for datasets differ more than settings do.

    Args:
        ablation: Of two keys; see ``table``.
        runs: Of its methods; a field whose run is missing stays empty.
    """
    made = table(ablation, runs)
    rows = [values for _, values in ablation["rows"]]
    down, across = (list(dict.fromkeys(values[axis] for values in rows)) for axis in (0, 1))
    panels = list(dict.fromkeys((row[0], column) for row, column in made.scores))
    with theme.style():
        size = (0.9 + 0.5 * len(across)) * len(panels), 0.9 + 0.38 * len(down)
        figure, axes = theme.subplots(1, len(panels), size)
        for axis, (backbone, column) in zip(axes[0], panels, strict=True):
            means = np.full((len(down), len(across)), np.nan)
            for first, second in rows:
                mean = made.mean((backbone, _text(first), _text(second)), column)
                means[down.index(first), across.index(second)] = np.nan if mean is None else mean
            image = axis.imshow(means, aspect="auto")
            middle = (np.nanmin(means) + np.nanmax(means)) / 2
            for (row, place), mean in np.ndenumerate(means):
                if not np.isnan(mean):
                    ink = "white" if mean < middle else "black"
                    axis.text(place, row, f"{mean:.1f}", ha="center", va="center", color=ink, fontsize=7)
            axis.set_xticks(range(len(across)), map(_text, across))
            axis.set_yticks(range(len(down)), map(_text, down))
            axis.set(
                xlabel=ablation["varied"][1], ylabel=ablation["varied"][0], title=f"{column.replace('/', ', ')} bits"
            )
            axis.grid(visible=False)
            figure.colorbar(image, ax=axis, label="mAP, %")
    return figure
