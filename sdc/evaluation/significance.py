"""How sure a mean over queries is: bootstrap intervals, and whether two methods really differ. NumPy only.

Queries are resampled, so an interval says how the mean would vary with other queries of the same kind. It says nothing
of other seeds, other training sets or other databases.

Sources: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 and 16; for retrieval, Sakai,
Evaluating evaluation metrics based on the bootstrap (SIGIR 2006).
"""

from collections.abc import Mapping

import numpy as np

from sdc.errors import SDCError

RESAMPLES = 10_000
LEVEL = 0.95
_BLOCK = 2**18  # weights at a time: they stay in the cache


def resampled_means(scores: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Means of scores over queries drawn with replacement, the same draws for every column.

    Args:
        scores: Shape ``(Q, M)``, float: M scores of each query.
        resamples: How many sets of Q queries are drawn.
        seed: Of the draws.

    Returns:
        Shape ``(resamples, M)``, float64.
    """
    scores = np.asarray(scores, np.float64)
    queries = len(scores)
    generator = np.random.default_rng(seed)
    means = np.empty((resamples, scores.shape[1]))
    step = max(1, _BLOCK // queries)
    for start in range(0, resamples, step):
        block = means[start : start + step]
        drawn = generator.integers(0, queries, (len(block), queries))
        drawn += np.arange(len(block))[:, None] * queries
        times = np.bincount(drawn.ravel(), minlength=len(block) * queries).reshape(len(block), queries)
        np.divide(times @ scores, queries, out=block)
    return means


def intervals(
    scores: Mapping[str, np.ndarray], level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, float]:
    """Percentile intervals of the means of some scores over the same queries: ``{name}_low`` and ``{name}_high``.

    Args:
        scores: By name, the score of each query, shape ``(Q,)``, float.
        level: Share of the resampled means that lies inside.
        resamples, seed: See ``resampled_means``.

    Raises:
        SDCError: If there is no query, or a score is not finite, or the scores are of different numbers of queries.

    Example:
        >>> intervals({"mAP": np.array([0.5, 0.5, 0.5])})
        {'mAP_low': 0.5, 'mAP_high': 0.5}
    """
    columns = {name: _checked(name, values) for name, values in scores.items()}
    if len({len(column) for column in columns.values()}) > 1:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
        raise SDCError(f"scores are of different numbers of queries: {lengths}; give those of the same queries")
    if not columns:
        return {}
    bounds = _percentiles(resampled_means(np.stack([*columns.values()], axis=1), resamples, seed), level)
    names = [f"{name}_{end}" for name in columns for end in ("low", "high")]
    return dict(zip(names, bounds.T.ravel().tolist(), strict=True))


def compare(
    first: np.ndarray,
    second: np.ndarray,
    first_queries: np.ndarray,
    second_queries: np.ndarray,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, float]:
    """Paired bootstrap: whether the second method's mean differs from the first's on the same queries.

    The p-value is twice the share of resampled differences on the far side of zero, at most 1, each count one more than
    seen so that it is never 0. So it is below 1 - ``level`` where the interval leaves out zero: the two agree.

    Args:
        first, second: The score of each query under either method, shape ``(Q,)``, float.
        first_queries, second_queries: Which queries these are, in order, shape ``(Q,)``.
        level: Share of the resampled differences inside the interval.
        resamples, seed: See ``resampled_means``.

    Returns:
        ``difference`` (second minus first), ``difference_low``, ``difference_high``, and ``p_value``, two-sided.

    Raises:
        SDCError: If the queries differ, or there is none, or a score is not finite.

    Example:
        >>> ap, rows = np.array([0.2, 0.9, 0.4]), np.arange(3)
        >>> compare(ap, ap, rows, rows)["p_value"]
        1.0
    """
    first, second = _checked("the first method", first), _checked("the second method", second)
    if len(first) != len(first_queries) or len(second) != len(second_queries):
        raise SDCError("scores and queries differ in number; give one query for each score")
    if not np.array_equal(first_queries, second_queries):
        raise SDCError(
            f"the methods were scored on different queries ({len(first)} and {len(second)}); "
            "evaluate both with the same manifest"
        )
    difference = second - first
    means = resampled_means(difference[:, None], resamples, seed)[:, 0]
    low, high = map(float, _percentiles(means, level))
    p_value = float(_p_values(means))
    return {
        "difference": float(difference.mean()), "difference_low": low, "difference_high": high, "p_value": p_value,
    }  # fmt: skip


def p_values(scores: np.ndarray, reference: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """P-values of ``compare`` of every column of scores with one of them, by the same draws, shape ``(M,)``.

    Args:
        scores: Shape ``(Q, M)``, float: M methods on the same queries.
        reference: The column to compare with, whose own p-value is 1.
        resamples, seed: See ``resampled_means``.
    """
    return _p_values(resampled_means(scores - scores[:, [reference]], resamples, seed))


def _p_values(means: np.ndarray) -> np.ndarray:
    tails = 1 + np.minimum((means <= 0).sum(axis=0), (means >= 0).sum(axis=0))
    return np.minimum(1.0, 2 * tails / (len(means) + 1))


def _percentiles(means: np.ndarray, level: float) -> np.ndarray:
    return np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)


def _checked(name: str, scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, np.float64)
    if not len(scores):
        raise SDCError(f"{name}: no query has a score; check the labels and the split")
    if not np.isfinite(scores).all():
        raise SDCError(
            f"{name}: the score of query {np.argmin(np.isfinite(scores))} is not a number; "
            "leave out queries without a relevant item"
        )
    return scores
