"""Positive and negative pairs by the cosine of their features: what similarity collapse is compared with."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from sdc.errors import SDCError
from sdc.evaluation import collapse
from sdc.limits import LENGTHS

GROUPS = 20  # of sampled database items, each left out in turn
FINE = 20_000  # bins that pairs are counted in; edges of other bins are rounded to theirs
QUERIES, ITEMS = 256, 4096  # of the pairs compared at a time
NO_OVERLAPS: dict[str, list[Any]] = {"bits": [], "class": [], "overlap": []}


class FeaturePairs:
    """Positive and negative pairs by the cosine of their features.

    All pairs up to a number; beyond it, all queries with a seeded sample of the database. Where few items are relevant
    to any query, these are all in the sample, and the others stand for those not drawn.

    Args:
        queries: Features, shape ``(Q, dim)``, float. None of them is in the database.
        database: Features of consecutive items, shape ``(b, dim)`` each, float; read once.
        size: Number of items in the database, N.
        relevant: From a query's position to an array of shape ``(N,)``, above 0 where an item is relevant.
        bins: Values of B, numbers of bins that metrics are in.
        max_pairs: How many pairs to look at; each takes a byte.
        seed: Of the sample.
        groups: The group of each query for ``overlaps``, shape ``(Q,)``, integers, below 0 for none. A group takes some
            700 kB.

    Attributes:
        parameters: Values of a metric's parameter, by its name: ``B``, numbers of bins.
        seen: How many pairs were looked at.
        share: Of all pairs, 1 if everything is exact; None if there is no pair.
        separation: In 20,000 bins; None where one kind of pair is missing.

    Raises:
        SDCError: If a feature is not finite, or the database has other features than the queries or another size.
    """

    def __init__(
        self,
        queries: np.ndarray,
        database: Iterable[np.ndarray],
        size: int,
        relevant: Callable[[int], np.ndarray],
        bins: Sequence[int] = (200,),
        max_pairs: int = 10**8,
        seed: int = 0,
        groups: np.ndarray | None = None,
    ) -> None:
        most = max(2 * GROUPS, max_pairs // max(1, len(queries)))
        drawn = _sample(size, most, len(queries), relevant, seed)
        rows = np.flatnonzero(drawn >= 0)
        truth = np.empty((len(queries), len(rows)), bool)
        for position, row in enumerate(truth):
            row[:] = relevant(position)[rows]
        query_groups = np.full(len(queries), -1) if groups is None else groups
        by_item, by_query = _histograms(queries, database, drawn, truth, query_groups)
        self.parameters, self.seen = {"B": bins}, truth.size
        self.share = len(rows) / max(1, size) if self.seen else None

        # First of the whole sample, then without each group in turn; the drawn items stand for all that could be drawn.
        self._drawn = np.bincount(drawn[rows], minlength=GROUPS + 1)[1:]
        self._pool = np.count_nonzero(drawn)
        weights = 1 - np.eye(GROUPS + 1)
        weights[0] = 1
        weights[:, 1:] *= self._pool / np.maximum(weights[:, 1:] @ self._drawn, 1)[:, None]
        self._replicates = np.tensordot(weights, by_item, 1)
        positive, negative = self._replicates[0]
        self.separation = collapse.separation(positive, negative, _middles(FINE))
        # Of each group of queries, by how much the cumulated shares of its positive and negative pairs differ.
        with np.errstate(invalid="ignore"):
            shares = collapse.shares(by_query[:, 0] + weights[0, 1] * by_query[:, 1])
        self._apart = np.cumsum(shares[:, 0] - shares[:, 1], axis=1)

    def histogram(self, bins: int) -> dict[str, list[float]]:
        """The columns of ``pairs.csv``, by the middle of each bin; of a sample, estimates of all pairs."""
        positive, negative = _in_bins(self._replicates[0], bins)
        return collapse.histogram(positive, negative, _middles(bins))

    def columns(self, names: Sequence[str]) -> dict[str, list[Any]]:
        """The columns of ``overlaps.csv``: by code length ``bits`` and ``class``, the ``overlap`` in K + 1 bins.

        Args:
            names: Of the groups; a blank one is that of all queries.
        """
        rows: list[tuple[int, str, float]] = []
        for bits in LENGTHS:
            values = {"": self.overlap(bits + 1), **dict(zip(names, self.overlaps(bits + 1).tolist(), strict=False))}
            known = {name: value for name, value in values.items() if value is not None and np.isfinite(value)}
            rows += [(bits, name, round(value, 6)) for name, value in known.items()]
        return {heading: [row[place] for row in rows] for place, heading in enumerate(NO_OVERLAPS)}

    def overlaps(self, bins: int) -> np.ndarray:
        """``overlap`` of the queries of each group alone; NaN where one kind of pair is missing."""
        apart = self._apart[:, _edges(bins)[1:] - 1]
        return 1 - np.abs(np.diff(apart, axis=1, prepend=0)).sum(axis=1) / 2

    def overlap(self, bins: int) -> float | None:
        """Overlap of positive and negative pairs; None where one kind is missing.

        It grows with the width of the bins: compare K-bit codes with features in K + 1 bins, whatever K is.
        """
        if self.separation is None:
            return None
        return float(collapse.overlap(*collapse.shares(_in_bins(self._replicates[0], bins))))

    def overlap_error(self, bins: int) -> float | None:
        """Standard error of a sample's ``overlap`` against all pairs; None where all pairs were looked at."""
        return self._jackknife(collapse.overlap, bins)

    def auc_error(self) -> float | None:
        """Standard error of a sample's AUC against all pairs; None where all pairs were looked at."""
        return self._jackknife(collapse.auc, FINE)

    def _jackknife(self, measure: Callable[[np.ndarray, np.ndarray], np.ndarray], bins: int) -> float | None:
        """The deviation of a measure when a twentieth of the drawn items is left out in turn."""
        replicates = _in_bins(self._replicates, bins)
        if not (self._pool and replicates.sum(axis=2).all()):
            return None
        deviation = np.sqrt((1 - self._drawn.sum() / self._pool) * (GROUPS - 1))
        return float(deviation * np.std(measure(*np.moveaxis(collapse.shares(replicates[1:]), 1, 0))))


def _middles(bins: int) -> np.ndarray:
    return 1 - (2 * np.arange(bins) + 1) / bins


def _in_bins(pairs: np.ndarray, bins: int) -> np.ndarray:
    """Pairs in fine bins, shape ``(…, FINE)``, in as many wider ones."""
    return np.add.reduceat(pairs, _edges(bins)[:-1], axis=-1)


def _edges(bins: int) -> np.ndarray:
    """The edges of as many bins, rounded to fine ones, shape ``(bins + 1,)``."""
    return np.round(np.arange(bins + 1) * (FINE / bins)).astype(np.int64)


def _sample(total: int, most: int, queries: int, relevant: Callable[[int], np.ndarray], seed: int) -> np.ndarray:
    """The group of each database item, shape ``(total,)``: 0 if looked at anyway, 1 … if drawn, -1 if neither."""
    if total <= most:
        return np.zeros(total, np.int64)
    always = np.zeros(total, bool)
    for position in range(queries):
        always |= relevant(position) > 0
    if np.count_nonzero(always) > most // 2:
        always[:] = False
    groups = np.where(always, 0, -1)
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(~always))[: most - np.count_nonzero(always)]
    groups[drawn] = 1 + np.arange(len(drawn)) % GROUPS
    return groups


def _histograms(
    queries: np.ndarray, database: Iterable[np.ndarray], groups: np.ndarray, truth: np.ndarray, query_groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Positive and negative pairs in fine bins, from most to least similar: by group of items, and by group of queries.

    Shape ``(1 + groups of items, 2, FINE)``; and ``(groups of queries, 2, 2, FINE)``, first with the items that are
    looked at anyway, then with those drawn.
    """
    by_item = np.zeros((GROUPS + 1, 2, FINE), np.int64)
    by_query = np.zeros((1 + int(query_groups.max(initial=-1)), 2, 2, FINE), np.int32)
    unit = _unit(queries, "query", 0)
    seen = sampled = 0
    for piece in (block[low : low + ITEMS] for block in database for low in range(0, len(block), ITEMS)):
        if piece.shape[1] != queries.shape[1]:
            raise SDCError(
                f"features of the queries have {queries.shape[1]} dimensions, those of the database {piece.shape[1]}; "
                "take both from the same backbone"
            )
        items, group = _unit(piece, "database", seen), groups[seen : seen + len(piece)]
        if len(group) < len(items):
            raise SDCError(f"features of more database items than the {len(groups)} that have ground truth")
        items, group = items[group >= 0], group[group >= 0]
        for first in range(0, len(queries), QUERIES):
            some = slice(first, first + QUERIES)
            negative = ~truth[some, sampled : sampled + len(items)]
            # Rounding may take a cosine a little beyond 1 or -1.
            places = np.clip(((1 - unit[some] @ items.T) * (FINE / 2)).astype(np.int64), 0, FINE - 1)
            places += FINE * negative
            by_item += _counts(places + 2 * FINE * group, by_item)
            places += 2 * FINE * np.minimum(group, 1)
            for number in np.unique(query_groups[some]):
                if number >= 0:
                    by_query[number] += _counts(places[query_groups[some] == number], by_query[number])
        seen, sampled = seen + len(piece), sampled + len(items)
    if seen < len(groups):
        raise SDCError(f"features of {seen} database items, but ground truth for {len(groups)}")
    return by_item, by_query


def _counts(places: np.ndarray, like: np.ndarray) -> np.ndarray:
    """How often each place of an array is named, in its shape and type."""
    return np.bincount(places.ravel(), minlength=like.size).reshape(like.shape).astype(like.dtype)


def _unit(features: np.ndarray, split: str, start: int) -> np.ndarray:
    """Features scaled to length 1, float32; ``start`` is the position of the first."""
    features = np.asarray(features, np.float32)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        position = start + np.argmin(np.isfinite(lengths[:, 0]))
        raise SDCError(f"features: {split} item {position} holds NaN or infinity; fix the image or the backbone")
    return features / np.maximum(lengths, 1e-12)
