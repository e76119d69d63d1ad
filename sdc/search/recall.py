"""How many of the nearest codes an engine finds."""

from typing import Any

import numpy as np

from sdc.search import engines
from sdc.search.index import Index

# Queries that are enough: the error of their mean is below 1 %.
MOST_QUERIES = 1000


def recall(index: Index, rows: np.ndarray, k: int = 10) -> dict[str, Any] | None:
    """Recall@k of an index against exact search, with codes of its own as queries, each of which does not find itself.

    With d_k the distance of the k-th nearest of the others, and d the distances of an engine's k answers, recall@k is
    the mean over queries of |{d <= d_k}| / k. Of codes at equal distances, none is nearer than another: where more of
    them are at d_k than there is room for, any counts, whichever of them exact search would name. So exact search has
    a recall of 1, and every answer that is missing or farther than d_k costs 1 / k.

    Args:
        index: Of at least k + 1 codes.
        rows: Of the queries; of more than a thousand, a thousand at equal steps are taken.
        k: How many neighbours.

    Returns:
        ``recall@10`` and the number of ``queries``; None where there are no queries, or too few codes.
    """
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_QUERIES)).astype(np.int64)] if len(rows) else rows
    if not len(rows) or len(index) <= k:
        return None
    codes = index.view_of_codes()
    queries = np.ascontiguousarray(codes[rows])
    exact = engines.faiss().IndexBinaryFlat(index.bits)
    exact.add(codes)
    # One of the nearest is the query itself, at distance 0.
    farthest = exact.search(queries, k + 1)[0][:, -1:]
    distances, found = index.rows_near(queries, k + 1)
    near = (distances <= farthest) & (found >= 0) & (found != rows[:, None])
    return {f"recall@{k}": float(np.minimum(near.sum(axis=1), k).mean() / k), "queries": len(rows)}
