"""Instance retrieval: the revisited Oxford and Paris benchmark.

What is relevant to a query is listed; the rules of ties are those of ``sdc.evaluation.ties``. Everything is a score per
query, NaN for a query that has nothing to find. (Google Landmarks v2's mAP@100 is ``mAP@100/min``.)

Source: Radenović et al., Revisiting Oxford and Paris (CVPR 2018), and its released evaluation. The expectations are
ours, in closed form.
"""

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np

from sdc.evaluation import ties
from sdc.evaluation.threads import joined

# Of the lists easy, hard and junk: which are to be found, and which count as if they were not in the database.
SETUPS = {
    "easy": (("easy",), ("junk", "hard")),
    "medium": (("easy", "hard"), ("junk",)),
    "hard": (("hard",), ("junk", "easy")),
}
PRECISION_AT = (1, 5, 10)  # of the revisited benchmark


def revisited(blocks: Iterable[tuple[np.ndarray, np.ndarray]], names: Sequence[str]) -> dict[str, np.ndarray]:
    """AP and precision in the three setups of the revisited benchmark, under every rule of ties.

    What a setup ignores (``SETUPS``) is taken out of the ranking first. AP is the area under the precision-recall curve
    by the trapezoid rule, with precision 1 before the first item. Precision@k is taken at the last item to be found if
    that comes before rank k.

    Args:
        blocks: For some queries at a time, how many items of each level are at each distance, shape ``(q, L, B)``,
            integers, and the level of every item in the order of the ranking, shape ``(q, N)``, unsigned:
            ``ranking.blocks(relevance, top=ranking.size)``.
        names: Of the lists that levels 1, 2, … stand for: ``easy``, ``hard`` and ``junk``, whichever way round.

    Returns:
        ``mAP_easy/expected`` and ``mP@1_easy/expected``, likewise for 5 and 10, medium and hard, and ``stable`` (the
        order of the ranking), ``optimistic`` and ``pessimistic``. Shape ``(Q,)``, float64; NaN where a query has
        nothing to find in that setup.
    """
    parts: list[dict[str, np.ndarray]] = []
    for counts, levels in blocks:
        scores: dict[str, np.ndarray] = {}
        for setup, lists in SETUPS.items():
            wanted, ignored = ([1 + names.index(name) for name in group] for group in lists)
            buckets = ties.Buckets(counts[:, [0, *wanted]])
            expected = [expected_trapezoid(buckets), *(expected_precision(buckets, k) for k in PRECISION_AT)]
            by_rule: dict[str, Iterable[Sequence[float]]] = {
                "expected": zip(*expected, strict=True),
                "stable": [_score(np.flatnonzero(np.isin(row[~np.isin(row, ignored)], wanted))) for row in levels],
                "optimistic": map(_score, _runs(buckets, buckets.before)),
                "pessimistic": map(_score, _runs(buckets, buckets.reached - buckets.relevant)),
            }
            kinds = [f"mAP_{setup}", *(f"mP@{k}_{setup}" for k in PRECISION_AT)]
            for rule, rows in by_rule.items():
                columns = np.array(list(rows)).T
                scores |= {f"{kind}/{rule}": column for kind, column in zip(kinds, columns, strict=True)}
        parts.append(scores)
    return joined(parts)


def expected_trapezoid(buckets: ties.Buckets) -> np.ndarray:
    """Expected AP of whole rankings by the trapezoid rule, as the revisited benchmark has it.

    Exact. The mean of the usual AP, whose precisions include the relevant item they are taken at, and one whose
    precisions end just before it: to that a bucket adds r/n * sum over t of (R + (t - 1) rho) / (N + t - 1), which is
    r/n [n rho + (R - N rho) (H(N + n - 1) - H(N - 1))]; for the first r/n [1 + (n - 1) rho], as precision begins at 1.
    Shape ``(Q,)``; NaN where nothing is relevant. The buckets are without junk.
    """
    n, before, hits = buckets.items, buckets.before, buckets.hits
    size = int(buckets.reached.max(initial=1))
    harmonic = ties.harmonic_numbers(size)
    rho = (buckets.relevant - 1) / np.maximum(n - 1, 1)
    rise = harmonic[np.maximum(before + n - 1, 0)] - harmonic[np.maximum(before - 1, 0)]
    sums = np.where(before == 0, 1 + (n - 1) * rho, n * rho + (hits - before * rho) * rise)
    left = (buckets.share * sums).sum(axis=1) / np.maximum(buckets.total, 1)
    right = buckets.average_precision(size, "total")
    return np.where(buckets.total > 0, (left + right) / 2, math.nan)


def expected_precision(buckets: ties.Buckets, k: int) -> np.ndarray:
    """Expected precision@k of the revisited benchmark: at the last relevant item if that comes before rank k.

    Exact. The last of T relevant items is one of n in a bucket, r of them relevant, behind N others; it is at most the
    x-th of the n with probability C(x, r) / C(n, r). If it is the x-th and N + x <= k, precision is T / (N + x), else
    that at k.
    Shape ``(Q,)``; NaN where nothing is relevant. The buckets are without junk.
    """
    hits = buckets.relevant_within(k)
    result = np.full(len(hits), math.nan)
    for query in np.flatnonzero(buckets.total):
        last = np.flatnonzero(buckets.relevant[query])[-1]
        items, relevant, before = (int(a[query, last]) for a in (buckets.items, buckets.relevant, buckets.before))
        total, within = int(buckets.total[query]), min(k - before, items)
        chances = [0.0]  # that the last one is at most the x-th, for x from 0
        if within >= relevant:
            chances = [math.comb(x, relevant) / math.comb(items, relevant) for x in range(within + 1)]
        early = sum((b - a) * total / (before + x) for x, (a, b) in enumerate(itertools.pairwise(chances), 1))
        result[query] = early + (hits[query] - total * chances[-1]) / k
    return result


def _runs(buckets: ties.Buckets, starts: np.ndarray) -> Iterable[np.ndarray]:
    """0-based ranks of relevant items that stand in a row from a rank of each bucket, ``(Q, B)``."""
    for start, times, earlier in zip(starts, buckets.relevant, buckets.hits, strict=True):
        yield np.repeat(start - earlier, times) + np.arange(times.sum())


def _score(ranks: np.ndarray) -> list[float]:
    """AP and precisions of one query from the 0-based ranks of all that is to be found, ascending and without junk."""
    if not len(ranks):
        return [math.nan] * (1 + len(PRECISION_AT))
    hits = np.arange(len(ranks))
    before = np.where(ranks == 0, 1, hits / np.maximum(ranks, 1))
    ends = np.minimum(ranks[-1] + 1, PRECISION_AT)
    return [((before + (hits + 1) / (ranks + 1)) / 2).mean(), *(np.searchsorted(ranks, ends) / ends)]
