"""How many of its exact cosine neighbours a code finds: what can be measured without labels."""

from collections.abc import Sequence

import numpy as np

from sdc import hamming
from sdc.evaluation.ranking import Ranking
from sdc.evaluation.relevance import ListedRelevance
from sdc.evaluation.threads import joined, share_out
from sdc.plan.scoring import NEIGHBOURS_AT


class FoundNeighbours:
    """Exact cosine neighbours of Q queries at the Hamming distances that their codes have.

    Args:
        items: How many items of the database are at each distance, shape ``(Q, K + 1)``.
        distances: Those of the neighbours, nearest by cosine first, shape ``(Q, T)``.
        at: Numbers of neighbours to look for; those beyond T are left out.

    Attributes:
        parameters: Values of a metric's parameter, by its name: ``K``, numbers of neighbours.
    """

    def __init__(self, items: np.ndarray, distances: np.ndarray, at: Sequence[int] = NEIGHBOURS_AT) -> None:
        self.parameters = {"K": [k for k in at if k <= distances.shape[1]]}
        self._items = np.take_along_axis(items, distances, axis=1)
        self._before = np.take_along_axis(np.cumsum(items, axis=1), distances, axis=1) - self._items

    def recall(self, k: int) -> np.ndarray:
        """Expected share of the k nearest by cosine among the first k by codes, shape ``(Q,)``.

        In a random order of n equally distant items behind N others, each is among the first k with the probability
        min(max(k - N, 0), n) / n.
        """
        items = self._items[:, :k]
        chances = np.clip(k - self._before[:, :k], 0, items) / items
        recall: np.ndarray = chances.mean(axis=1)
        return recall


def code_distances(queries: np.ndarray, database: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Hamming distances of codes, shapes ``(Q, bytes)`` and ``(N, bytes)``, to some items each, shape ``(Q, T)``."""
    result = np.zeros(positions.shape, np.int64)
    for own, words in zip(hamming.words(queries), hamming.words(database), strict=True):
        result += np.bitwise_count(own[:, None] ^ words[positions])
    return result


def items_at_distances(ranking: Ranking, jobs: int | None = 1) -> np.ndarray:
    """How many items a ranking of codes has at each Hamming distance from a query, shape ``(Q, K + 1)``, integers.

    ``jobs`` is that of ``sdc.evaluation.scores.evaluate``.
    """
    nothing = ListedRelevance([{"relevant": np.zeros(0, np.int64)}] * len(ranking), ranking.size)

    def count(queries: range) -> dict[str, np.ndarray]:
        return joined({"items": block.counts.sum(axis=1)} for block in ranking.blocks(nothing, 1, queries))

    return share_out(count, ranking, jobs)["items"]
