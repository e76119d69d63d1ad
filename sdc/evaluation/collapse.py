"""Similarity collapse: how far positive and negative pairs overlap in Hamming space.

A positive pair is a query and a database item that is relevant to it, a negative pair one that is not. The similarity
of two codes at distance d is 1 - 2 d / K, the cosine of their signs: K + 1 values, on which everything here is exact.

Source: the histogram intersection is what SDC (BMVC 2023) measures similarity collapse by.
"""

import functools
import itertools
import math
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


class HammingPairs:
    """All pairs of Q queries and a database, by their distance.

    Args:
        counts: Items of the database at each distance from each query, shape ``(Q, K + 1)``, integers.
        relevant: The relevant ones among them, same shape; None without labels.

    Attributes:
        labelled: Whether it is known which pairs are positive; else all count as negative.
        positive, negative, pairs: Pairs at each distance, of all queries together, shape ``(K + 1,)``.
    """

    def __init__(self, counts: np.ndarray, relevant: np.ndarray | None) -> None:
        self.labelled = relevant is not None
        self.counts, self.relevant = counts, np.zeros_like(counts) if relevant is None else relevant
        self.pairs, self.positive = counts.sum(axis=0), self.relevant.sum(axis=0)
        self.negative = self.pairs - self.positive
        bits = counts.shape[1] - 1
        self.similarities = 1 - 2 * np.arange(bits + 1) / bits

    @functools.cached_property
    def separation(self) -> Separation | None:
        """Of all queries together; None if one kind of pair is missing."""
        return separation(self.positive, self.negative, self.similarities)

    @functools.cached_property
    def per_query(self) -> tuple[float, float] | tuple[None, None]:
        """Mean overlap and mean AUC of the queries that have pairs of both kinds."""
        others = self.counts - self.relevant
        both = self.relevant.any(axis=1) & others.any(axis=1)
        if not both.any():
            return None, None
        p, u = shares(self.relevant[both]), shares(others[both])
        return float(overlap(p, u).mean()), float(auc(p, u).mean())

    def w1_binomial(self) -> float | None:
        """Wasserstein-1 distance to codes with independent, even bits, whose distances are binomial; exact."""
        if not self.pairs.any():
            return None
        bits = len(self.pairs) - 1
        chosen = itertools.accumulate(math.comb(bits, distance) for distance in range(bits))
        random = np.array([ways / 2**bits for ways in chosen])  # whole numbers: exact for any number of bits
        return float(np.abs(np.cumsum(self.pairs)[:-1] / self.pairs.sum() - random).sum() * 2 / bits)

    def overlaps(self, groups: np.ndarray) -> np.ndarray:
        """Overlap of the queries of each group alone, shape ``(1 + greatest group,)``; NaN where one kind is missing.

        Args:
            groups: Of each query, shape ``(Q,)``, integers from 0; below 0 it is in none.
        """
        pairs = np.zeros((1 + int(groups.max(initial=-1)), 2, len(self.pairs)))
        for group, kinds in enumerate(pairs):
            counts, relevant = (array[groups == group].sum(axis=0) for array in (self.counts, self.relevant))
            kinds[:] = relevant, counts - relevant
        return overlaps(pairs)

    def histogram(self) -> dict[str, list[float]]:
        """The columns of ``pairs.csv``."""
        return histogram(self.positive, self.negative, self.similarities)
