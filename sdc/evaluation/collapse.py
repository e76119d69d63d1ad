"""Similarity collapse: how far positive and negative pairs overlap in Hamming space.

A positive pair is a query and a database item that is relevant to it, a negative pair one that is not. The similarity
of two codes at distance d is 1 - 2 d / K, the cosine of their signs: K + 1 values, on which everything here is exact.

Source: the histogram intersection is what SDC (BMVC 2023) measures similarity collapse by.
"""

import functools
import itertools
import math

import numpy as np

from sdc import calibration
from sdc.evaluation import overlap


class HammingPairs:
    """All pairs of Q queries and a database, by their distance.

    Args:
        counts: Items of the database at each distance from each query, shape ``(Q, K + 1)``, integers.
        relevant: The relevant ones among them, same shape.

    Attributes:
        positive, negative, pairs: Pairs at each distance, of all queries together, shape ``(K + 1,)``.
    """

    def __init__(self, counts: np.ndarray, relevant: np.ndarray) -> None:
        self.counts, self.relevant = counts, relevant
        self.pairs, self.positive = counts.sum(axis=0), relevant.sum(axis=0)
        self.negative = self.pairs - self.positive
        bits = counts.shape[1] - 1
        self.similarities = 1 - 2 * np.arange(bits + 1) / bits

    @functools.cached_property
    def separation(self) -> overlap.Separation | None:
        """Of all queries together; None if one kind of pair is missing."""
        return overlap.separation(self.positive, self.negative, self.similarities)

    @functools.cached_property
    def per_query(self) -> tuple[float, float] | tuple[None, None]:
        """Mean overlap and mean AUC of the queries that have pairs of both kinds."""
        others = self.counts - self.relevant
        both = self.relevant.any(axis=1) & others.any(axis=1)
        if not both.any():
            return None, None
        shares = overlap.shares(self.relevant[both]), overlap.shares(others[both])
        return float(overlap.overlap(*shares).mean()), float(overlap.auc(*shares).mean())

    def w1(self, target_distribution: str) -> float | None:
        """Wasserstein-1 distance to a target distribution (``calibration.quantiles``) in 10,000 steps; needs SciPy."""
        if not self.pairs.any():
            return None
        counts, similarities = self.pairs[::-1], self.similarities[::-1]
        targets = calibration.quantiles(target_distribution, 10_000, len(counts) - 1)
        ranks = (np.arange(len(targets)) + 0.5) / len(targets) * counts.sum()
        return float(np.abs(similarities[np.searchsorted(np.cumsum(counts), ranks)] - targets).mean())

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
        return overlap.overlaps(pairs)

    def histogram(self) -> dict[str, list[float]]:
        """The columns of ``pairs.csv``."""
        return overlap.histogram(self.positive, self.negative, self.similarities)
