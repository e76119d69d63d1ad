"""How far two distributions on the same values lie apart; the last axis is the values, from most to least similar."""

from typing import NamedTuple

import numpy as np

NO_PAIRS: dict[str, list[float]] = {"similarity": [], "positive_pairs": [], "negative_pairs": []}


class Separation(NamedTuple):
    """How far the similarities of positive pairs lie from those of negative ones.

    Attributes:
        overlap: Sum over values of the smaller of the two shares; 1 if nothing tells the distributions apart.
        auc: Probability that a positive pair is more similar than a negative one, equally similar counting half.
        tie_mass: Probability that they are equally similar.
        ks: Greatest difference of the cumulated shares (Kolmogorov-Smirnov).
        gap: Difference of the mean similarities.
        gap_sd: That over the root mean of the two variances; None if both are 0.
    """

    overlap: float
    auc: float
    tie_mass: float
    ks: float
    gap: float
    gap_sd: float | None


def separation(positive: np.ndarray, negative: np.ndarray, similarities: np.ndarray) -> Separation | None:
    """Compare the pairs at each similarity, shape ``(V,)`` each, descending; None if there are none of a kind."""
    if not (positive.any() and negative.any()):
        return None
    p, u = shares(positive), shares(negative)
    means = p @ similarities, u @ similarities
    variance = (p @ (similarities - means[0]) ** 2 + u @ (similarities - means[1]) ** 2) / 2
    gap = float(means[0] - means[1])
    return Separation(
        overlap=float(overlap(p, u)),
        auc=float(auc(p, u)),
        tie_mass=float(p @ u),
        ks=float(np.abs(np.cumsum(p) - np.cumsum(u)).max()),
        gap=gap,
        gap_sd=float(gap / np.sqrt(variance)) if variance > 0 else None,
    )


def shares(counts: np.ndarray) -> np.ndarray:
    """Histograms of counts as shares that sum to 1."""
    return counts / counts.sum(axis=-1, keepdims=True)


def overlap(p: np.ndarray, u: np.ndarray) -> np.ndarray:
    """``Separation.overlap`` of shares, shape ``(…, V)``."""
    return np.minimum(p, u).sum(axis=-1)


def auc(p: np.ndarray, u: np.ndarray) -> np.ndarray:
    """``Separation.auc`` of shares, shape ``(…, V)``."""
    return (p * (1 - np.cumsum(u, axis=-1) + u / 2)).sum(axis=-1)


def overlaps(pairs: np.ndarray) -> np.ndarray:
    """``Separation.overlap`` of positive and negative pairs, shape ``(G, 2, V)``; NaN where one kind is missing."""
    result = np.full(len(pairs), np.nan)
    both = pairs.any(axis=2).all(axis=-1)
    result[both] = overlap(*np.moveaxis(shares(pairs[both]), 1, 0))
    return result


def histogram(positive: np.ndarray, negative: np.ndarray, similarities: np.ndarray) -> dict[str, list[float]]:
    """The columns of ``pairs.csv``: ``similarity``, ``positive_pairs`` and ``negative_pairs``, whole numbers."""
    counts = (values.round().astype(np.int64) for values in (positive, negative))
    return dict(zip(NO_PAIRS, (array.tolist() for array in (similarities, *counts)), strict=True))
