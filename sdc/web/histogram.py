"""One query's distances to the whole database, as the bars of a drawing."""

from typing import NamedTuple

import numpy as np

# Of the drawing, without its axis.
WIDTH, HEIGHT = 320, 80
# Of long codes, several distances share a bar.
_MOST_BARS = 128


class Bar(NamedTuple):
    """A bar from the bottom up, in the drawing's units; ``kind`` is ``all``, ``negative`` or ``positive``."""

    kind: str
    x: float
    width: float
    height: float
    about: str


def bars(distances: np.ndarray, bits: int, positive: np.ndarray | None = None) -> list[Bar]:
    """The bars; those of positives and of negatives are shares of their kind, so that both are seen.

    Args:
        distances: Of the query to each item, in bits, shape ``(n,)``.
        bits: Code length.
        positive: Whether an item is relevant, shape ``(n,)``; None where there are no labels.
    """
    step = -(-(bits + 1) // _MOST_BARS)
    count = -(-(bits + 1) // step)
    kinds = {"all": distances}
    if positive is not None:
        kinds = {"negative": distances[~positive], "positive": distances[positive]}
    counts = {kind: np.bincount(of // step, minlength=count) for kind, of in kinds.items()}
    shares = {kind: each / max(1, each.sum()) for kind, each in counts.items()}
    highest = max((float(each.max()) for each in shares.values()), default=0) or 1
    width = WIDTH / count
    result = []
    for kind, share in shares.items():
        for place in np.flatnonzero(share).tolist():
            low, high = place * step, min(bits, (place + 1) * step - 1)
            where = f"{low}" if low == high else f"{low} to {high}"
            about = f"distance {where}: {counts[kind][place]:,} {kind} ({share[place]:.2%})"
            height = HEIGHT * float(share[place]) / highest
            result.append(Bar(kind, round(place * width, 2), round(width, 2), round(height, 2), about))
    return result
