"""Figures about one dataset and backbone: from tidy frames (``sdc.report.data``) to Matplotlib figures.

Each figure shows its whole frame, which is written beside it as CSV; means over seeds are taken here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sdc.report import theme

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_COLUMNS = 3  # of panels
_WIDTH = 6.4  # inches
_LISTED = "Nothing to draw: this is of datasets whose relevance is a shared label."
_TILE = 40  # pixels of a thumbnail
_CLASSES = 20  # that one figure names, at most
_RADII = 0.3  # share of all distances that the figure of radii shows


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of figure.

    Attributes:
        title: What it is.
        caption: How to read it.
        draw: From its frame to the figure.
        alternative: From its frame to the words for those who do not see it.
    """

    title: str
    caption: str
    draw: Callable[[pd.DataFrame], Figure]
    alternative: Callable[[pd.DataFrame], str]


def overlap(pairs: pd.DataFrame) -> float:
    """Histogram intersection of positive and negative pairs, in [0, 1]; NaN where there are none of a kind.

    Args:
        pairs: Rows of one histogram with ``positive_pairs`` and ``negative_pairs``.
    """
    positive, negative = (pairs[f"{kind}_pairs"].to_numpy(float) for kind in ("positive", "negative"))
    if not positive.sum() or not negative.sum():
        return float("nan")
    return float(np.minimum(positive / positive.sum(), negative / negative.sum()).sum())


@theme.style()
def _map_by_bits(frame: pd.DataFrame) -> Figure:
    figure, axes = theme.subplots(size=(_WIDTH, 3.9))
    panel = axes[0, 0]
    for method, rows in _methods(frame):
        if method == "features":
            panel.axhline(100 * rows["mAP"].mean(), color=theme.INK, linewidth=1, label="features (cosine)")
            continue
        scores = rows.groupby("bits")["mAP"]
        mean, spread = 100 * scores.mean(), 100 * scores.std()
        panel.plot(mean.index, mean, label=theme.title(method), **theme.look(method).keywords)
        if spread.notna().any():
            panel.fill_between(mean.index, mean - spread, mean + spread, color=theme.colour(method), alpha=0.15, lw=0)
    _bits_axis(panel, frame)
    panel.set(xlabel="bits", ylabel="mAP (%)")
    _legend(figure, panel)
    return figure


@theme.style()
def _similarities(frame: pd.DataFrame) -> Figure:
    groups = _methods(frame)
    if not groups:
        return _words(_LISTED)
    figure, panels = _panels(len(groups), 4, height=1.25, sharex=True)
    for panel, (method, rows) in zip(panels, groups, strict=True):
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
        panel.tick_params(labelsize=7, labelbottom=panel in panels[-4:])
    figure.supxlabel("similarity: of features their cosine, of codes 1 − 2 d / bits", fontsize=8)
    _legend(figure, panels[0], above=True)
    return figure


@theme.style()
def _precision_recall(frame: pd.DataFrame) -> Figure:
    figure, panels = _by_bits(frame, "recall", "precision", order="radius", labels=("recall (%)", "precision (%)"))
    for panel in panels:
        panel.set(xlim=(0, 100), ylim=(0, 100))
    return figure


@theme.style()
def _precision_at_k(frame: pd.DataFrame) -> Figure:
    lengths = _lengths(frame)
    # The features have no code length: they are in every panel.
    spread = [frame[frame["method"] != "features"]]
    spread += [frame[frame["method"] == "features"].assign(bits=bits) for bits in lengths]
    figure, panels = _by_bits(_joined(spread), "k", "precision", labels=("K (items, log scale)", "P@K (%)"))
    for panel in panels:
        panel.set(xscale="log", ylim=(0, 100))
    return figure


@theme.style()
def _precision_within_radius(frame: pd.DataFrame) -> Figure:
    near = frame[frame["radius"] <= np.maximum(2, _RADII * frame["bits"])]
    figure, panels = _by_bits(near, "radius", "precision", labels=("Hamming radius (bits)", "precision (%)"))
    for panel in panels:
        panel.set(ylim=(0, 100))
        panel.xaxis.get_major_locator().set_params(integer=True)
    return figure


@theme.style()
def _training(frame: pd.DataFrame) -> Figure:
    groups = _methods(frame)
    if not groups:
        return _words("No method here is trained step by step.")
    figure, panels = _panels(len(groups), _COLUMNS, height=1.55)
    for panel, (method, rows) in zip(panels, groups, strict=True):
        for place, (term, values) in enumerate(rows.groupby("term", sort=False)):
            curve = values.groupby("epoch")["value"].mean()
            total = term == "loss"
            panel.plot(
                curve.index,
                curve,
                color=theme.INK if total else theme.PALETTE[place % len(theme.PALETTE)],
                linestyle="-" if total else (0, (3, 1 + place)),
                linewidth=1.4 if total else 1.1,
                label=term,
            )
        panel.set_title(theme.title(method), fontsize=8)
        panel.tick_params(labelsize=7)
        low, high = panel.get_ylim()
        panel.set_ylim(low, high + 0.35 * (high - low))  # room for the words
        panel.legend(loc="upper right", ncols=2, fontsize=6, labelspacing=0.2, handlelength=1.6, borderaxespad=0.1)
    figure.supxlabel("epoch", fontsize=8)
    figure.supylabel("loss and its terms", fontsize=8)
    return figure


@theme.style()
def _bit_balance(frame: pd.DataFrame) -> Figure:
    ordered = frame.sort_values("share", kind="stable")
    ranks = ordered.groupby(["method", "bits"]).cumcount()
    # Back in the order of the methods.
    placed = ordered.assign(rank=ranks, place=ranks / (ordered["bits"] - 1)).sort_index()
    labels = ("bits, from the rarest set (%)", "codes that set it (%)")
    figure, panels = _by_bits(placed, "place", "share", labels=labels, order="rank", marker=None)
    for panel in panels:
        panel.axhline(50, color=theme.INK, linewidth=0.8, alpha=0.6)
        panel.set(ylim=(-2, 102), xlim=(0, 100))
    return figure


@theme.style()
def _classes(frame: pd.DataFrame) -> Figure:
    if frame.empty:
        return _words("Nothing to draw: this is of datasets in which every item has one class.")
    means = frame.groupby(["method", "class"], sort=False)[["mAP", "overlap"]].mean()
    shown, _ = _by_gain(frame)
    if len(shown) > _CLASSES:
        shown = [*shown[: _CLASSES // 2], *shown[-_CLASSES // 2 :]]
    figure, axes = theme.subplots(1, 2, size=(_WIDTH, 0.19 * len(shown) + 1.4), sharey=True)
    for panel, (column, label) in zip(axes[0], {"mAP": "mAP (%)", "overlap": "overlap (%)"}.items(), strict=True):
        for method, _ in _methods(frame):
            values = 100 * means.loc[method][column].reindex(shown)
            looks = {**theme.look(method).keywords, "linestyle": ""}
            if method == "features":
                looks |= {"marker": "|", "markersize": 11, "markeredgewidth": 1.6}
            panel.plot(values, range(len(shown)), label=theme.title(method), **{"markersize": 4, **looks})
        panel.set(xlabel=label, xlim=(-2, 102))
        panel.grid(axis="y", linewidth=0.4, alpha=0.6)
    axes[0, 0].set_yticks(range(len(shown)), map(str, shown))
    axes[0, 0].set_ylim(len(shown) - 0.5, -0.5)
    _legend(figure, axes[0, 0])
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


@theme.style()
def _cost(frame: pd.DataFrame) -> Figure:
    figure, axes = theme.subplots(1, 2, size=(_WIDTH, 3.6), sharey=True)
    names = {"bytes": "bytes per item (log scale)", "seconds": "seconds of the training job (log scale)"}
    for panel, (name, label) in zip(axes[0], names.items(), strict=True):
        for method, rows in _methods(frame):
            known = rows.dropna(subset=[name]).groupby("bits")[[name, "mAP"]].mean()
            looks = theme.look(method).keywords | (
                {"linestyle": (0, (1, 2)), "linewidth": 1} if name == "seconds" else {}
            )
            if len(known):
                panel.plot(known[name], 100 * known["mAP"], label=theme.title(method), **looks)
        panel.set(xscale="log", xlabel=label)
        panel.minorticks_off()
    ticks = sorted({float(value) for value in frame["bytes"].dropna()})
    axes[0, 0].set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes[0, 0].set_ylabel("mAP (%)")
    _legend(figure, axes[0, 0])
    return figure


@theme.style()
def _retrieval(frame: pd.DataFrame) -> Figure:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    if frame.empty:
        return _words("This dataset holds vectors and no pictures: there is nothing to show.")
    items = frame[frame["rank"] > 0]
    top, methods = int(items["rank"].max()), list(dict.fromkeys(items["method"]))
    queries = list(dict.fromkeys(frame["query"]))
    label, unit = 3.2, 0.42  # width of the words in tiles; inches of a tile
    rows = len(queries) * (len(methods) + 0.35)
    figure, axes = theme.subplots(size=(unit * (label + top + 1.3), unit * rows + 0.45))
    panel = axes[0, 0]
    frames: dict[int, list[Any]] = {1: [], 0: []}
    height = 0.0
    for query in queries:
        shown = frame[frame["query"] == query]
        picture = shown[shown["rank"] == 0]["picture"].iloc[0]
        middle = height + len(methods) / 2
        _image(panel, [picture], 0, middle - 0.55, 1.1)
        for method, found in shown[shown["rank"] > 0].groupby("method", sort=False):
            panel.text(label, height + 0.5, theme.title(str(method)), ha="right", va="center", fontsize=7)
            _image(panel, list(found["picture"]), label + 0.2, height, 1)
            for place, right in enumerate(found["right"]):
                frames[int(right)].append(Rectangle((label + 0.25 + place, height + 0.05), 0.9, 0.9))
            height += 1
        height += 0.35
    for right, (colour, dashes) in {1: (theme.POSITIVE, "-"), 0: (theme.NEGATIVE, (0, (1.5, 1)))}.items():
        patches = PatchCollection(frames[right], facecolor="none", edgecolor=colour, linewidth=1.8, linestyle=dashes)
        panel.add_collection(patches)
    for place in range(top):
        panel.text(label + 0.7 + place, -0.15, place + 1, ha="center", va="bottom", fontsize=7)
    panel.text(0.55, -0.15, "query", ha="center", va="bottom", fontsize=7)
    panel.set(xlim=(-0.1, label + top + 0.3), ylim=(height, -0.6), aspect="equal")
    panel.axis("off")
    return figure


def _image(panel: Any, pictures: list[Any], left: float, up: float, size: float) -> None:
    """Pictures side by side, from a place on, a unit of the axes each."""
    from PIL import Image, ImageOps

    strip = Image.new("RGBA", (len(pictures) * _TILE, _TILE))
    for place, picture in enumerate(pictures):
        # Small scans keep their pixels.
        method = Image.Resampling.NEAREST if max(picture.size) < _TILE // 2 else Image.Resampling.LANCZOS
        tile = ImageOps.contain(picture.convert("RGB"), (_TILE - 6, _TILE - 6), method)
        strip.paste(tile, (place * _TILE + (_TILE - tile.width) // 2, (_TILE - tile.height) // 2))
    panel.imshow(strip, extent=(left, left + len(pictures) * size, up + size, up), interpolation="none", aspect="equal")


# What figures share


def _methods(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(method), rows) for method, rows in frame.groupby("method", sort=False)]


def _lengths(frame: pd.DataFrame) -> list[int]:
    return sorted({int(bits) for bits in frame[frame["method"] != "features"]["bits"]})


def _joined(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(list(frames), ignore_index=True)


def _panels(count: int, columns: int, height: float, **options: Any) -> tuple[Figure, list[Any]]:
    """So many axes in rows, each row of a height in inches."""
    columns = min(columns, max(1, count))
    rows = max(1, -(-count // columns))
    figure, axes = theme.subplots(rows, columns, size=(_WIDTH, height * rows + 0.7), **options)
    for spare in axes.flat[count:]:
        spare.axis("off")
    return figure, list(axes.flat[:count])


def _by_bits(
    frame: pd.DataFrame,
    x: str,
    y: str,
    labels: tuple[str, str],
    order: str | None = None,
    **options: Any,
) -> tuple[Figure, list[Any]]:
    """A panel for each code length and in it a line for each method, the mean over seeds at each ``order``."""
    lengths, order = _lengths(frame), order or x
    if not lengths:
        return _words(_LISTED), []
    figure, panels = _panels(len(lengths), _COLUMNS, height=2.5, sharey=True)
    for panel, bits in zip(panels, lengths, strict=True):
        for method, rows in _methods(frame[frame["bits"] == bits]):
            curve = rows.groupby(order)[list({x, y})].mean()
            xs = curve.index if x == order else 100 * curve[x]
            looks = {**theme.look(method).keywords, "markevery": max(1, len(curve) // 6), **options}
            panel.plot(xs, 100 * curve[y], label=theme.title(method), **{"markersize": 3.5, **looks})
        panel.set_title(f"{bits} bits", fontsize=8)
        panel.set_xlabel(labels[0])
    for panel in panels[::_COLUMNS]:
        panel.set_ylabel(labels[1])
    _legend(figure, panels[0])
    return figure, panels


def _bits_axis(panel: Any, frame: pd.DataFrame) -> None:
    lengths = _lengths(frame)
    panel.set_xscale("log", base=2)
    panel.set_xticks(lengths, [str(bits) for bits in lengths])
    panel.minorticks_off()


def _legend(figure: Figure, panel: Any, above: bool = False) -> None:
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper center" if above else "outside lower center",
        ncols=min(6, len(labels)),
        columnspacing=1.2,
    )


def _words(text: str) -> Figure:
    figure, axes = theme.subplots(size=(_WIDTH, 0.6))
    axes[0, 0].text(0.5, 0.5, text, ha="center", va="center")
    axes[0, 0].axis("off")
    return figure


# In words


def _listed(values: Mapping[str, str]) -> str:
    return ", ".join(f"{theme.title(name)} {value}" for name, value in values.items()) or "nothing"


def _at_longest(frame: pd.DataFrame, column: str) -> str:
    lengths = _lengths(frame)
    if not lengths:
        return "nothing"
    means = frame[frame["bits"] == lengths[-1]].groupby("method", sort=False)[column].mean()
    return f"{_listed({str(name): f'{100 * value:.1f}' for name, value in means.items()})} at {lengths[-1]} bits"


def _alternative_similarities(frame: pd.DataFrame) -> str:
    values = {method: f"{overlap(rows):.3f}" for method, rows in _methods(frame)}
    return f"Histograms of the similarity of positive and of negative pairs; their overlap: {_listed(values)}."


def _alternative_radius(frame: pd.DataFrame) -> str:
    return f"Precision within Hamming radius 2, in percent: {_at_longest(frame[frame['radius'] == 2], 'precision')}."


def _alternative_k(frame: pd.DataFrame) -> str:
    return f"Precision of the first item, in percent: {_at_longest(frame[frame['k'] == 1], 'precision')}."


def _alternative_training(frame: pd.DataFrame) -> str:
    total = frame[frame["term"] == "loss"]
    ends = {method: f"{rows['value'].iloc[0]:.3g} to {rows['value'].iloc[-1]:.3g}" for method, rows in _methods(total)}
    return f"Training loss by epoch, from the first to the last: {_listed(ends)}."


def _alternative_balance(frame: pd.DataFrame) -> str:
    off = frame.assign(off=(2 * frame["share"] - 1).abs())
    return f"Share of codes that set each bit; how far it is from even, in percent: {_at_longest(off, 'off')}."


def _alternative_classes(frame: pd.DataFrame) -> str:
    if frame.empty:
        return "No classes."
    names, method = _by_gain(frame)
    means = 100 * frame[frame["method"] == method].groupby("class")[["mAP", "overlap"]].mean()
    ends = means.loc[list(dict.fromkeys((names[0], names[-1])))]
    found = zip(ends.index, ends["mAP"], ends["overlap"], strict=True)
    listed = ", ".join(f"{name!s} {score:.1f} (overlap {overlap:.1f})" for name, score, overlap in found)
    return f"mAP of {theme.title(method)} in percent where it gains most and least over the features: {listed}."


def _alternative_retrieval(frame: pd.DataFrame) -> str:
    items = frame[frame["rank"] > 0]
    if items.empty:
        return "No pictures."
    right = {
        method: f"{int(rows['right'].sum())} of {len(rows)}" for method, rows in _methods(items)
    }  # over all queries
    return f"Query pictures and what each method finds first; relevant are: {_listed(right)}."


FIGURES: dict[str, Kind] = {
    "similarities": Kind(
        "Similarities of positive and negative pairs",
        "A positive pair is a query and a database item that is relevant to it. The less the two histograms overlap "
        "(1: nothing tells them apart), the better a method kept classes apart. The first panel is of the features "
        "that all codes were made from, in 200 bins; the others are of the longest codes, on all the values they have.",
        _similarities,
        _alternative_similarities,
    ),
    "map_by_bits": Kind(
        "mAP against code length",
        "What a bit buys. The line across is exact cosine on the features; bands are a standard deviation over seeds.",
        _map_by_bits,
        lambda frame: f"mAP in percent: {_at_longest(frame, 'mAP')}.",
    ),
    "precision_recall": Kind(
        "Precision and recall",
        "Each point is a Hamming radius, from 0 at the left; means over queries, of which those with nothing within a "
        "radius have precision 0 there.",
        _precision_recall,
        lambda frame: (
            f"Recall within Hamming radius 2, in percent: {_at_longest(frame[frame['radius'] == 2], 'recall')}."
        ),
    ),
    "precision_at_k": Kind(
        "Precision of the first K items",
        "Expected over all orders of equally distant items. The features are known at the K of the config only.",
        _precision_at_k,
        _alternative_k,
    ),
    "precision_within_radius": Kind(
        "Precision within a Hamming radius",
        "What a hash table lookup finds. A query with nothing within the radius counts as 0, so long codes start low.",
        _precision_within_radius,
        _alternative_radius,
    ),
    "training": Kind(
        "Training curves",
        "Loss and its terms, of the longest codes, means over an epoch and over seeds. Closed-form methods have none.",
        _training,
        _alternative_training,
    ),
    "bit_balance": Kind(
        "Balance of the bits",
        "Bits of the database's codes (first seed), sorted by how many codes set them. A flat line at 50 % is best; "
        "a bit at 0 or 100 % says nothing.",
        _bit_balance,
        _alternative_balance,
    ),
    "classes": Kind(
        "Class by class",
        "mAP of the queries of each class, and how far their positive and negative pairs overlap (codes on their K + 1 "
        "similarities, features in as many bins); longest codes, means over seeds. Classes in which SDC, or without it "
        "the best method, gains most over the features stand first; of more than 20 the first and the last ten.",
        _classes,
        _alternative_classes,
    ),
    "cost": Kind(
        "What a byte and a second buy",
        "Left, bytes that an item takes in the index; right, seconds of the whole training job, the start of Python "
        "included, as Snakemake measured them. Points of a method are its code lengths.",
        _cost,
        lambda frame: f"mAP in percent against bytes and seconds: {_at_longest(frame, 'mAP')}.",
    ),
    "retrieval": Kind(
        "What is found first",
        "Solid green frames are relevant, dotted red ones not. Queries stand at equal steps in the list of queries "
        "sorted by class, whatever is found for them; methods are those that the config chose, else SDC and the best, "
        "the middle and the worst by mAP, at the longest codes (first seed); items at equal distances stand in "
        "database order.",
        _retrieval,
        _alternative_retrieval,
    ),
}


def draw(name: str, frame: pd.DataFrame) -> Figure:
    """A figure by its name in ``FIGURES``, of its frame."""
    return FIGURES[name].draw(frame)
