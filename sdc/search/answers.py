"""Answers to queries: ranked in one of three ways, and what each neighbour is."""

from typing import Any, Literal

import numpy as np

from sdc.errors import SDCError
from sdc.search.encoder import Encoder
from sdc.search.index import Index
from sdc.search.ranking import FeaturesOf, asymmetric, reranked

Ranking = Literal["hamming", "asymmetric", "cosine"]


def ranked(
    index: Index,
    encoder: Encoder,
    vectors: np.ndarray,
    by: Ranking = "hamming",
    k: int = 10,
    features_of: FeaturesOf | None = None,
    candidates: int = 100,
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest items of each query.

    Args:
        index: Of codes.
        encoder: Of the index's head.
        vectors: Features of each query, shape ``(Q, dim)``.
        by: ``hamming`` distance, ``asymmetric`` distance, or ``cosine`` of the features of the nearest codes.
        k: How many.
        features_of: From ids to their features, for the cosine.
        candidates: How many of the nearest codes the cosine ranks.

    Returns:
        Distances and ids, both of shape ``(Q, k)``; see ``Index.search``.

    Raises:
        SDCError: As ``Index.search``; or if there are no features for the cosine.
    """
    if by == "asymmetric":
        return asymmetric(index, encoder.outputs_of_features(vectors), k)
    codes = encoder.encode_features(vectors)
    if by == "hamming":
        return index.search(codes, k)
    if features_of is None:
        raise SDCError("there are no cached features to rank by; extract them, or rank by hamming or asymmetric")
    return reranked(index, codes, vectors, features_of, k, candidates)


def neighbours(index: Index, distances: np.ndarray, ids: np.ndarray) -> list[dict[str, Any]]:
    """Rank, distance, id, path and label of what one query has found, both of shape ``(k,)``."""
    found = ids >= 0
    answers = []
    for rank, (distance, row) in enumerate(zip(distances[found].tolist(), index.rows_of(ids[found]), strict=True), 1):
        answers.append({"rank": rank, "distance": distance, **about(index, int(row))})
    return answers


def about(index: Index, row: int) -> dict[str, Any]:
    """Id, path and label of the item in a row."""
    return {"id": int(index.ids[row]), "path": index.items.paths[row], "label": index.items.labels[row]}
