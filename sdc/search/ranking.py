"""Better rankings of what is near by Hamming distance: candidates are found by their codes, then put in order anew."""

from collections.abc import Callable

import numpy as np

from sdc import hamming
from sdc.errors import SDCError
from sdc.search.index import Index

# Of a query, from ids, shape (n,), to their features, shape (n, dim).
FeaturesOf = Callable[[np.ndarray], np.ndarray]
# Candidates of the asymmetric distance: on real codes, its nearest ten are among them (benchmarks/search.py).
CANDIDATES = 1000
# The bits of every byte, shape (256, 8).
_BYTES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32)


def asymmetric(
    index: Index, outputs: np.ndarray, k: int = 10, candidates: int = CANDIDATES
) -> tuple[np.ndarray, np.ndarray]:
    """The k items of the smallest asymmetric distance, of those nearest by Hamming distance.

    That is the sum of the query's absolute outputs over the bits in which the codes differ: a bit of which the head is
    in doubt counts less. The database has its codes and nothing else.

    Args:
        index: Of codes.
        outputs: Of the head for each query, shape ``(Q, bits)``, any float type; their signs are its code.
        k: How many.
        candidates: How many by Hamming distance; at least k are taken.

    Returns:
        Distances, float32, and ids, int64, both of shape ``(Q, k)``; see ``Index.search``.

    Raises:
        SDCError: As ``Index.search``.

    Source: Gordo et al., *Asymmetric Distances for Binary Embeddings*, IEEE TPAMI 36(1), 2014, section 3.
    """
    outputs = np.asarray(outputs)
    queries = hamming.pack(outputs > 0)
    rows = _candidates(index, queries, k, candidates)
    codes, distances = index.view_of_codes(), np.empty(rows.shape, np.float32)
    weights = np.abs(outputs).astype(np.float32).reshape(len(outputs), -1, 8)
    places = np.arange(codes.shape[1])
    for query, weight, found, row in zip(queries, weights, distances, rows, strict=True):
        # The sum of every byte at each place, shape (256, bytes): a look-up instead of eight products.
        sums = _BYTES @ weight.T
        found[:] = sums[codes[row] ^ query, places].sum(axis=1)
    return _nearest(index, distances, rows, k)


def reranked(
    index: Index, queries: np.ndarray, features: np.ndarray, features_of: FeaturesOf, k: int = 10, candidates: int = 100
) -> tuple[np.ndarray, np.ndarray]:
    """The k items of the greatest cosine with the query's features, of those nearest by Hamming distance.

    Args:
        index: Of codes.
        queries: Codes, shape ``(Q, bits / 8)``, uint8.
        features: Of each query, shape ``(Q, dim)``.
        features_of: From ids to their features.
        k: How many.
        candidates: How many by Hamming distance.

    Returns:
        One less the cosines, float32, and ids, int64, both of shape ``(Q, k)``.

    Raises:
        SDCError: As ``Index.search``; or if the features of items have another width.
    """
    rows = _candidates(index, queries, k, candidates)
    distances = np.empty(rows.shape, np.float32)
    for query, found, row in zip(features, distances, rows, strict=True):
        items = features_of(index.ids[row]).astype(np.float32)
        if items.shape[1] != len(query):
            raise SDCError(f"the cached features are {items.shape[1]} wide, the query's {len(query)}; give others")
        wide = query.astype(np.float32)
        lengths = np.linalg.norm(items, axis=1) * np.linalg.norm(wide)
        # The cosine with nothing is 0.
        found[:] = np.maximum(0, 1 - items @ wide / np.where(lengths > 0, lengths, 1))
    return _nearest(index, distances, rows, k)


def _candidates(index: Index, queries: np.ndarray, k: int, candidates: int) -> np.ndarray:
    return index.rows_near(queries, k if k > len(index) else min(max(k, candidates), len(index)))[1]


def _nearest(index: Index, distances: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Of candidates, the k nearest: ties in the order of their Hamming distances, what was not found last."""
    distances[rows < 0] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    rows = np.take_along_axis(rows, order, 1)
    return np.take_along_axis(distances, order, 1), index.ids_of(rows)
