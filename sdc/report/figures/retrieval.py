"""What some methods find first for a few queries."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from sdc.evaluation.metrics import headline_of
from sdc.plan.selections import thumbnails
from sdc.report import theme
from sdc.report.figures import panels
from sdc.report.runs import Run, Runs
from sdc.storage.thumbnails import TILE, read_thumbnails

_COLUMNS = ["query", "rank", "row", "distance", "right", "path", "image"]


def chosen(runs: Sequence[Run], methods: Sequence[str] = ()) -> list[Run]:
    """The first run of each of these methods, or of SDC and the best, the middle and the worst, in order.

    Best is by mAP, or what there is without labels.
    """
    first: dict[str, Run] = {}
    for run in runs:
        first.setdefault(run.metrics["method"], run)
    if methods:
        return [first[name] for name in methods if name in first]
    ordered = sorted(first, key=lambda name: -first[name].metrics.get(headline_of(first[name].metrics), 0))
    if not ordered:
        return []
    ends = [ordered[0], ordered[len(ordered) // 2], ordered[-1]]
    return [first[name] for name in dict.fromkeys([*(["sdc"] if "sdc" in first else []), *ends])]


def frame(runs: Runs) -> pd.DataFrame:
    """``query`` and ``row`` of the manifest, ``rank`` from 1, ``distance`` in bits, ``right`` (1: relevant), ``path``.

    The query itself, which is there once, has rank 0. ``image`` is a thumbnail, which no CSV holds. Nothing where
    there are no images.
    """
    dataset, backbone = (runs.selection[axis][0] for axis in ("datasets", "backbones"))
    shown = chosen(runs.longest, runs.selection.get("retrieval", ()))
    identity = {"dataset": dataset, "backbone": backbone}
    images = read_thumbnails(runs.thumbnails / thumbnails(dataset, backbone), identity) if shown else {}
    queries: list[tuple[Any, ...]] = []
    items: list[tuple[Any, ...]] = []
    for run in shown if images else []:
        for row in run.rows("retrieved.csv"):
            numbers = [int(row[name]) for name in ("query", "rank", "row", "distance", "relevant")]
            values = (*numbers, row["path"], images[numbers[2]])
            if numbers[1]:
                items.append((*panels.key(run), *values))
            elif numbers[0] not in (query[3] for query in queries):
                queries.append(("", 0, 0, *values))
    return panels.tidy([*queries, *items], _COLUMNS)


@theme.style()
def draw(frame: pd.DataFrame) -> Figure:
    """A row for each query and method."""
    if frame.empty:
        return panels.words("There is nothing to show: this dataset holds vectors and no images, or has no queries.")
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
        middle = height + len(methods) / 2
        _show(panel, list(shown[shown["rank"] == 0]["image"]), 0, middle - 0.55, 1.1)
        for method, nearest in panels.methods(shown[shown["rank"] > 0]):
            panel.text(label, height + 0.5, theme.title(method), ha="right", va="center", fontsize=7)
            _show(panel, list(nearest["image"]), label + 0.2, height, 1)
            for place, right in enumerate(nearest["right"]):
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


def _show(panel: Any, images: list[Any], left: float, up: float, size: float) -> None:
    """Thumbnails side by side, from a place on, each so many units of the axes wide."""
    strip = Image.new("RGBA", (len(images) * TILE, TILE))
    for place, image in enumerate(images):
        strip.paste(image, (place * TILE, 0))
    panel.imshow(strip, extent=(left, left + len(images) * size, up + size, up), interpolation="none", aspect="equal")


def alternative(frame: pd.DataFrame) -> str:
    """In words."""
    items = frame[frame["rank"] > 0]
    if items.empty:
        return "No images."
    right = {method: f"{int(rows['right'].sum())} of {len(rows)}" for method, rows in panels.methods(items)}
    return f"Query images and what each method finds first; relevant are: {panels.enumerated(right)}."
