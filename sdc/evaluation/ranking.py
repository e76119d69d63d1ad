"""Ranking metrics: mAP@R, precision@K, hit rate@K, for one documented order of ties.

Items at the same distance stand in manifest order, which is what a stable sort of the database gives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from sdc import hamming
from sdc.errors import SDCError
from sdc.labels import Labels

TIES = "database order"
DENOMINATOR = "relevant items within the top R"


@dataclasses.dataclass(frozen=True)
class Relevance:
    """Which database items are relevant to which query: those that share a label.

    Args:
        query: Class indices of each query, Q of them.
        database: Class indices of each database item, N of them.
    """

    query: Labels
    database: Labels

    def __post_init__(self) -> None:
        for split in ("query", "database"):
            object.__setattr__(self, split, Labels.of(getattr(self, split)))

    def rows(self) -> Callable[[int], np.ndarray]:
        """A function from a query's position to a Boolean array of shape ``(N,)``."""
        if self.query.is_single and self.database.is_single:
            return lambda position: np.equal(self.database.indices, self.query.indices[position])
        classes = 1 + max(self.query.indices.max(initial=0), self.database.indices.max(initial=0))
        membership = np.zeros((classes, len(self.database)), dtype=bool)
        membership[self.database.indices, self.database.owners] = True
        return lambda position: np.logical_or.reduce(membership[list(self.query[position])], axis=0)


def average_precision(relevant: np.ndarray, cutoff: int) -> float:
    """AP@R of one ranking: the mean precision at the ranks, up to R, that hold a relevant item.

    The denominator is the number of relevant items within the top R, as the hashing literature has it (the TREC
    convention is min(R, total)); with none there, AP is 0.

    Args:
        relevant: Boolean, in ranked order, shape ``(n,)``.
        cutoff: R, at least 1.

    Example:
        >>> round(average_precision(np.array([True, False, True, False]), 4), 4)
        0.8333
    """
    ranks = np.flatnonzero(relevant[:cutoff]) + 1
    if not len(ranks):
        return 0.0
    return float((np.arange(1, len(ranks) + 1) / ranks).mean())


def hamming_rankings(queries: np.ndarray, database: np.ndarray) -> Iterator[np.ndarray]:
    """For every query the database rows from nearest to farthest, ties in database order.

    Args:
        queries, database: Packed codes, shapes ``(Q, bits / 8)`` and ``(N, bits / 8)``, uint8.

    Raises:
        SDCError: If the code lengths differ.
    """
    if queries.shape[1] != database.shape[1]:
        raise SDCError(f"code lengths differ: {queries.shape[1] * 8} and {database.shape[1] * 8} bits")
    words = hamming.words(database)
    return (hamming.rank(hamming.word_distances(query, words)) for query in hamming.words(queries).T)


def cosine_rankings(queries: np.ndarray, database: np.ndarray, block: int = 64) -> Iterator[np.ndarray]:
    """For every query the database rows by falling cosine, ties in database order: the continuous baseline.

    Args:
        queries, database: Features, shapes ``(Q, dim)`` and ``(N, dim)``, float32.
        block: Queries per matrix product.
    """
    unit = database / np.maximum(np.linalg.norm(database, axis=1, keepdims=True), 1e-12)
    for start in range(0, len(queries), block):
        # A query's own length does not change its ranking.
        for similarities in queries[start : start + block] @ unit.T:
            yield np.argsort(-similarities, kind="stable")


def evaluate(
    rankings: Iterable[np.ndarray], relevance: Relevance, map_at: int | None, precision_at: Sequence[int]
) -> dict[str, float | int | str | None]:
    """Metrics of a set of rankings.

    Args:
        rankings: For each query the database positions from first to last, shape ``(N,)``.
        relevance: Whose positions the rankings hold.
        map_at: R of mAP@R; None, or more than the database holds, means the whole database.
        precision_at: K of precision@K and hit rate@K; those beyond the database are left out.

    Returns:
        ``mAP@R``, ``P@K`` and ``hit_rate@K`` in [0, 1], averaged over the queries that have a relevant item; how many
        queries that are and how many were left out; the conventions.

    Raises:
        SDCError: If no query has a relevant item, so that there is nothing to average.
    """
    total = len(relevance.database)
    cutoff = total if map_at is None else min(map_at, total)
    cutoffs = [k for k in precision_at if k <= total]
    relevant_to = relevance.rows()
    rows = []
    for position, ranking in enumerate(rankings):
        relevant = relevant_to(position)
        if not relevant.any():
            continue
        ranked = relevant[ranking[: max(cutoff, *cutoffs, 1)]]
        precisions = [ranked[:k].mean() for k in cutoffs]
        rows.append([average_precision(ranked, cutoff), *precisions, *(p > 0 for p in precisions)])
    if not rows:
        raise SDCError("no query has a relevant database item; check the labels and the split")
    means: list[float] = [float(np.mean(column)) for column in zip(*rows, strict=True)]
    names = [f"mAP@{cutoff}", *(f"P@{k}" for k in cutoffs), *(f"hit_rate@{k}" for k in cutoffs)]
    return {
        **dict(zip(names, means, strict=True)),
        "map_at": cutoff,
        "queries": len(relevance.query),
        "queries_without_relevant": len(relevance.query) - len(rows),
        "database": total,
        "ties": TIES,
        "denominator": DENOMINATOR,
    }
