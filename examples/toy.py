"""Two bits for four classes, where one can look at what methods do to similarities that are all positive.

    python examples/toy.py [--out results/toy/toy.svg results/toy/outcomes.csv] [--seeds 10]

docs/toy.md says what there is to see.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sdc import interrupts, registry
from sdc.head import Head
from sdc.methods.base import TrainedMethod
from sdc.methods.data import Training
from sdc.report import theme
from sdc.storage.files import write_text, writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PER_CLASS = 32
EPOCHS = 100
# Defaults but for the rate, which suits a hundred items, and for the width of SDC's hidden layer.
METHODS: Mapping[str, Mapping[str, Any]] = {
    "greedyhash": {"learning_rate": 1e-2},
    "bihalf": {"learning_rate": 1e-2},
    "sdc": {"learning_rate": 3e-3, "hidden": 64},
    "sdc_linear": {"type": "sdc", "learning_rate": 3e-3, "hidden": None},
}
SHOWN = ("greedyhash", "bihalf", "sdc")
STRIP = (0, 1, 3, 10, 30, 100)
FRAMES = sorted({*STRIP, *range(10), *range(10, 40, 3), *range(40, 100, 10)})

# What tells the classes apart, in colour and in black and white.
_COLOURS = (theme.PALETTE[0], theme.PALETTE[3], theme.PALETTE[2], theme.PALETTE[5])
_MARKERS = "os^D"
# Milliseconds of a frame of the animation, and of its last.
_FRAME, _LAST = 250, 2500

# Logits of two bits, shape (n, 2), by method and epoch.
Course = Mapping[str, Mapping[int, np.ndarray]]

DEFAULT_OUT = [
    Path("results/toy") / name for name in ("toy.svg", "toy.png", "toy.pdf", "toy.gif", "toy.csv", "outcomes.csv")
]


def run(out: Sequence[Path], seeds: int = 10) -> None:
    """Train two bits for four well separated classes, and show what becomes of them.

    Args:
        out: What to write, by suffix: ``.svg``, ``.pdf`` or ``.png``, the logits at some epochs; ``.gif``, at more of
            them; ``.csv``, the logits that are drawn: ``method``, ``epoch``, ``item``, ``class``, ``first``,
            ``second``; but ``outcomes.csv`` is a row per kind of features, method and seed: mean cosines within and
            between classes, how many codes the items have, and how many different ones are the most frequent of a class
            (``groups``).
        seeds: How many seeds the outcomes are of, of the features and of the training alike; figures show the first.
    """
    if any(path.name != "outcomes.csv" for path in out):
        features, labels = draw_features("plane", 0)
        course = {name: logits_by_epoch(name, features, FRAMES) for name in SHOWN}
    for path in out:
        if path.name == "outcomes.csv":
            write_text(path, _csv(_outcomes(seeds)))
        elif path.suffix == ".csv":
            write_text(path, _csv(_rows(course, labels)))
        elif path.suffix == ".gif":
            write_animation(path, course, labels)
        else:
            theme.save(strip(course, features, labels, STRIP), path)
        print(f"wrote {path}")


def draw_features(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of four well separated classes.

    Args:
        kind: ``plane``: noisy directions of 15, 35, 55 and 75 degrees, so that all cosines are positive, as after a
            ReLU; ``centred``: these minus their mean; ``space``: around four random centres in eight dimensions, after
            a ReLU.
        seed: Of the draw.

    Returns:
        Features, shape ``(128, 2)`` or ``(128, 8)``, float32; and the class of each, shape ``(128,)``.
    """
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(4), PER_CLASS)
    if kind == "space":
        centres = 1 + generator.standard_normal((4, 8))
        features = centres[labels] + 0.3 * generator.standard_normal((len(labels), 8))
    else:
        angles = np.deg2rad([15, 35, 55, 75])[labels]
        features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        features += 0.03 * generator.standard_normal(features.shape)
    features = np.maximum(features, 0)
    if kind == "centred":
        features -= features.mean(axis=0)
    return features.astype(np.float32), labels


def two_bits(name: str, **settings: Any) -> TrainedMethod:
    """A method of the toy with codes of two bits, which fill no byte and so are none that a config may ask for."""
    values = {"epochs": EPOCHS, "batch_size": 32, **METHODS[name], **settings}
    cls = registry.load("methods", values.pop("type", name))
    short: Any = dataclasses.make_dataclass(cls.__name__, [("bits", int, 2)], bases=(cls,), frozen=True, kw_only=True)
    method: TrainedMethod = short(**values)
    return method


def logits_by_epoch(name: str, features: np.ndarray, epochs: Sequence[int]) -> dict[int, np.ndarray]:
    """Logits after some epochs, shape ``(n, 2)``; after epoch 0 those of a head that has not learnt anything yet."""
    heads: list[Head] = []

    def watch(head: Head) -> float:
        heads.append(head)
        return len(heads)  # ever better, so that the last epoch counts

    two_bits(name, select="best", select_every=1).fit_head(Training(features), score=watch)
    fresh = two_bits(name, epochs=1, learning_rate=1e-12).fit_head(Training(features))[0]
    return {epoch: [fresh, *heads][epoch].logits(features) for epoch in epochs}


def _outcomes(seeds: int) -> list[dict[str, Any]]:
    rows = []
    for kind in ("plane", "centred", "space"):
        for seed in range(seeds):
            features, labels = draw_features(kind, seed)
            unit = features / np.linalg.norm(features, axis=1, keepdims=True)
            cosines, same = unit @ unit.T, labels[:, None] == labels
            for name in METHODS:
                logits = two_bits(name, seed=seed).fit_head(Training(features))[0].logits(features)
                codes = (logits > 0) @ [2, 1]
                groups = {int(np.bincount(codes[labels == label]).argmax()) for label in range(4)}
                rows.append(
                    {
                        "features": kind,
                        "method": name,
                        "seed": seed,
                        "cosine_within": round(float(cosines[same].mean()), 3),
                        "cosine_between": round(float(cosines[~same].mean()), 3),
                        "codes": count_codes(logits),
                        "groups": len(groups),
                    }
                )
    return rows


def _rows(course: Course, labels: np.ndarray) -> list[dict[str, Any]]:
    return [
        {
            "method": method,
            "epoch": epoch,
            "item": item,
            "class": int(labels[item]),
            "first": f"{first:.3f}",
            "second": f"{second:.3f}",
        }
        for method, epochs in course.items()
        for epoch, logits in epochs.items()
        for item, (first, second) in enumerate(logits)
    ]


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def count_codes(logits: np.ndarray) -> int:
    """How many different codes logits of shape ``(n, bits)`` have."""
    return len(np.unique(logits > 0, axis=0))


@theme.style()
def strip(course: Course, features: np.ndarray, labels: np.ndarray, epochs: Sequence[int]) -> Figure:
    """A row per method, a column per epoch, and the features to the left.

    Args:
        course: Logits at these epochs and perhaps others.
        features: Shape ``(n, 2)``.
        labels: Which of four classes each is of, shape ``(n,)``.
        epochs: Which to show.
    """
    figure, axes = theme.subplots(len(course), 1 + len(epochs), (1.15 * (1 + len(epochs)), 1.25 * len(course) + 0.2))
    for row in axes[:, 0]:
        row.set_visible(False)
    middle = axes[len(course) // 2, 0]
    middle.set_visible(True)
    _scatter(middle, features, labels)
    middle.set(title="features", aspect="equal", xlim=(0, 1.15), ylim=(0, 1.15), xticks=[0, 1], yticks=[0, 1])
    for row, (method, logits) in zip(axes, course.items(), strict=True):
        limit = _limit(logits)
        for axis, epoch in zip(row[1:], epochs, strict=True):
            _panel(axis, logits[epoch], labels, limit)
        row[1].set_ylabel(theme.title(method), fontweight="bold", fontsize=9)
    for axis, epoch in zip(axes[0, 1:], epochs, strict=True):
        axis.set_title("untrained" if epoch == 0 else f"epoch {epoch}")
    return figure


def write_animation(path: str | Path, course: Course, labels: np.ndarray) -> None:
    """Write a GIF: a panel per method, a frame per epoch; the same course gives the same bytes.

    Args:
        path: Of the GIF.
        course: Logits at the same epochs for all methods.
        labels: Which of four classes each item is of, shape ``(n,)``.
    """
    frames = [_frame(course, labels, epoch) for epoch in next(iter(course.values()))]
    durations = [*[_FRAME] * (len(frames) - 1), _LAST]
    with writing(path) as part:
        frames[0].save(part, format="GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)


@theme.style()
def _frame(course: Course, labels: np.ndarray, epoch: int) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure, axes = theme.subplots(1, len(course), (2.0 * len(course), 2.4))
    for axis, (method, logits) in zip(axes[0], course.items(), strict=True):
        _panel(axis, logits[epoch], labels, _limit(logits))
        axis.set_title(theme.title(method))
    figure.suptitle("untrained" if epoch == 0 else f"epoch {epoch}", fontsize=8)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    return image.quantize(64, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def _limit(logits: Mapping[int, np.ndarray]) -> float:
    """One scale for all epochs of a method."""
    return 1.15 * max(float(np.abs(values).max()) for values in logits.values())


def _panel(axis: Any, logits: np.ndarray, labels: np.ndarray, limit: float) -> None:
    axis.axhline(0, color=theme.INK, linewidth=0.8)
    axis.axvline(0, color=theme.INK, linewidth=0.8)
    _scatter(axis, logits, labels)
    axis.set(aspect="equal", xlim=(-limit, limit), ylim=(-limit, limit), xticks=[], yticks=[])
    count = count_codes(logits)
    axis.set_xlabel(f"{count} code{'s' * (count > 1)}", labelpad=2)
    for side in ("left", "bottom"):
        axis.spines[side].set_visible(False)


def _scatter(axis: Any, points: np.ndarray, labels: np.ndarray) -> None:
    for label, (colour, marker) in enumerate(zip(_COLOURS, _MARKERS, strict=True)):
        members = points[labels == label]
        axis.scatter(*members.T, s=9, color=colour, marker=marker, linewidths=0, alpha=0.8)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, nargs="+", default=DEFAULT_OUT, help="what to write; suffixes say what it is"
    )
    parser.add_argument("--seeds", type=int, default=10, help="how many seeds outcomes.csv is of")
    run(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    interrupts.end_on_signals("toy.py")
    main()
