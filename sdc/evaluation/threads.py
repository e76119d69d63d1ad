"""Queries shared among threads."""

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sdc.evaluation.ranking import BLOCK_QUERIES, Ranking, spans


def joined(parts: Iterable[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Columns of consecutive queries, one after the other."""
    first, *rest = parts
    return {name: np.concatenate([values, *(part[name] for part in rest)]) for name, values in first.items()}


def share_out(
    score: Callable[[range], dict[str, np.ndarray]], ranking: Ranking, jobs: int | None
) -> dict[str, np.ndarray]:
    """The columns of all queries of a ranking, each thread scoring some.

    Args:
        score: From consecutive queries to columns.
        ranking: There is one thread unless it is ``concurrent``.
        jobs: Threads at the most; None for one per core.
    """
    queries = range(len(ranking))
    if not ranking.concurrent:
        return score(queries)
    # Whole blocks, so that the last digits do not depend on the number of threads.
    with ThreadPoolExecutor(jobs or os.cpu_count()) as threads:
        return joined(threads.map(score, spans(queries, BLOCK_QUERIES)))
