"""Pictures of the toy experiment: where the logits of two bits lie while methods learn; a quadrant is a code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sdc.report import theme
from sdc.storage.files import writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What tells the classes apart, in colour and in black and white.
_COLOURS = (theme.PALETTE[0], theme.PALETTE[3], theme.PALETTE[2], theme.PALETTE[5])
_MARKERS = "os^D"
# Milliseconds of a frame of the animation, and of its last.
_FRAME, _LAST = 250, 2500

# Logits of two bits, shape (n, 2), by method and epoch.
Course = Mapping[str, Mapping[int, np.ndarray]]


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
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    return picture.quantize(64, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


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
