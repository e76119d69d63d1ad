"""What figures share: the first columns of their frames, panels, legends and words.

Columns that every frame of a dataset and backbone begins with are ``method`` (``features`` is exact cosine on the
features themselves), ``bits`` and ``seed``; precision, recall and mAP are in [0, 1].
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sdc.evaluation.metrics import entry_of, values_of
from sdc.report import theme
from sdc.report.runs import Run

COLUMNS = 3  # of panels
WIDTH = 6.4  # inches
BY_LABEL_ONLY = "Nothing to draw: this is of datasets whose relevance is a shared label."
NO_LABELS = "Nothing to draw: this needs labels, and the dataset has none."
_KEYS = ("method", "bits", "seed")


def tidy(rows: Iterable[Sequence[Any]], columns: Sequence[str]) -> pd.DataFrame:
    """A frame of rows that begin with a run's ``key``, and the columns after that."""
    return pd.DataFrame(list(rows), columns=[*_KEYS, *columns])


def key(run: Run) -> tuple[Any, ...]:
    """What a row begins with: method, bits and seed of a run."""
    return tuple(run.metrics[name] for name in _KEYS)


def curve(run: Run, *metrics: str) -> list[tuple[Any, ...]]:
    """The values of families of metrics, a row for each value of their parameter; a key names its family."""
    families = [values_of(entry, run.metrics) for metric in metrics if (entry := entry_of(metric))]
    return [(value, *(family[value] for family in families)) for value in families[0]]


def methods(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Every method and its rows, in the frame's order."""
    return [(str(method), rows) for method, rows in frame.groupby("method", sort=False)]


def lengths(frame: pd.DataFrame) -> list[int]:
    """All code lengths, ascending."""
    return sorted({int(bits) for bits in frame[frame["method"] != "features"]["bits"]})


def panels(count: int, columns: int, height: float, **options: Any) -> tuple[Figure, list[Any]]:
    """So many axes in rows, each row of a height in inches."""
    columns = min(columns, max(1, count))
    rows = max(1, -(-count // columns))
    figure, axes = theme.subplots(rows, columns, size=(WIDTH, height * rows + 0.7), **options)
    for spare in axes.flat[count:]:
        spare.axis("off")
    return figure, list(axes.flat[:count])


def by_bits(
    frame: pd.DataFrame, x: str, y: str, labels: tuple[str, str], order: str | None = None, **options: Any
) -> tuple[Figure, list[Any]]:
    """A panel for each code length and in it a line for each method, the mean over seeds at each ``order``."""
    every, order = lengths(frame), order or x
    if not every:
        return words(BY_LABEL_ONLY), []
    figure, axes = panels(len(every), COLUMNS, height=2.5, sharey=True)
    for panel, bits in zip(axes, every, strict=True):
        for method, rows in methods(frame[frame["bits"] == bits]):
            curve = rows.groupby(order)[list({x, y})].mean()
            xs = curve.index if x == order else 100 * curve[x]
            looks = {**theme.look(method).keywords, "markevery": max(1, len(curve) // 6), **options}
            panel.plot(xs, 100 * curve[y], label=theme.title(method), **{"markersize": 3.5, **looks})
        panel.set_title(f"{bits} bits", fontsize=8)
        panel.set_xlabel(labels[0])
    for panel in axes[::COLUMNS]:
        panel.set_ylabel(labels[1])
    legend(figure, axes[0])
    return figure, axes


def log_scale(panel: Any, values: Iterable[float]) -> None:
    """A logarithmic axis across, with several ticks however few decades it has: at 1, 2 and 5 times powers of ten."""
    known = [value for value in values if value > 0]
    panel.set_xscale("log")
    panel.minorticks_off()
    if not known:
        return
    low, high = min(known), max(known)
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    every = [factor * 10.0**power for power in decades for factor in (1, 2, 5)]
    inside = [tick for tick in every if low <= tick * (1 + 1e-9) and tick <= high * (1 + 1e-9)]
    if len(inside) < 2:  # and the ends, as they are
        inside = sorted({*inside, *(float(f"{end:.2g}") for end in (low, high))})
    elif len(inside) > 7:
        inside = [tick for tick in inside if f"{tick:e}".startswith("1")]
    panel.set_xticks(inside, [f"{tick:g}" for tick in inside])


def bars(panel: Any, frame: pd.DataFrame, column: str, order: list[str]) -> None:
    """A bar for each method, in an order from the top: the mean over seeds in percent, and its standard deviation."""
    scores = 100 * frame.set_index("method")[column]
    groups = scores.groupby("method")
    means, spread = (of.reindex(order).fillna(0) for of in (groups.mean(), groups.std()))
    colours = [theme.colour(method) for method in order]
    drawn = panel.barh(range(len(order)), means, xerr=spread if spread.any() else None, color=colours, height=0.7)
    panel.bar_label(drawn, fmt="%.1f", padding=3, fontsize=7)
    panel.set_yticks(range(len(order)), [theme.title(method) for method in order])
    panel.set_ylim(len(order) - 0.4, -0.6)
    panel.margins(x=0.15)
    panel.grid(axis="y", visible=False)


def legend(figure: Figure, panel: Any, above: bool = False) -> None:
    """One legend of all that a panel shows, outside of all panels."""
    handles, labels = panel.get_legend_handles_labels()
    where: Any = f"outside {'upper' if above else 'lower'} center"
    figure.legend(handles, labels, loc=where, ncols=min(6, len(labels)), columnspacing=1.2)


def words(text: str) -> Figure:
    """A sentence in place of a figure."""
    figure, axes = theme.subplots(size=(WIDTH, 0.6))
    axes[0, 0].text(0.5, 0.5, text, ha="center", va="center")
    axes[0, 0].axis("off")
    return figure


def enumerated(values: Mapping[str, str]) -> str:
    """What each method has, in words."""
    return ", ".join(f"{theme.title(name)} {value}" for name, value in values.items()) or "nothing"


def at_longest(frame: pd.DataFrame, column: str) -> str:
    """The mean of a column for each method at the longest codes, in percent, in words."""
    every = lengths(frame)
    if not every:
        return "nothing"
    means = frame[frame["bits"] == every[-1]].groupby("method", sort=False)[column].mean()
    return f"{enumerated({str(name): f'{100 * value:.1f}' for name, value in means.items()})} at {every[-1]} bits"
