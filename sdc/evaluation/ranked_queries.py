"""Some ranked queries as metrics see them: by the chosen rule of ties and denominator, or by any other."""

from collections.abc import Mapping, Sequence

import numpy as np

from sdc.evaluation import ties
from sdc.evaluation.ranking import Block
from sdc.plan.scoring import Rule


class RankedQueries:
    """The rankings of q queries; what is measured has shape ``(q,)``.

    Args:
        block: What is known of them.
        rule: How items at equal distances stand.
        denominator: What average precision is divided by.
        parameters: Values of a metric's parameter, by its name: ``R`` and ``K`` in items, ``r`` in bits.

    Attributes:
        total: Relevant items in the database, at least 1.
        depth: Number of levels of relevance.
        buckets, order: Counts by distance, and the order there is; see ``sdc.evaluation.ties``.
    """

    def __init__(
        self, block: Block, rule: Rule, denominator: ties.Denominator, parameters: Mapping[str, Sequence[int]]
    ) -> None:
        self.parameters = parameters
        self.buckets = ties.Buckets(block.counts)
        self.order = ties.Order(block.levels, self.buckets.total)
        self.total = np.maximum(self.buckets.total, 1)
        self.depth = block.counts.shape[1]
        self._rules: dict[Rule, ties.Buckets | ties.Order] = {"expected": self.buckets, "stable": self.order}
        self._rule, self._denominator = rule, denominator
        self._ideal = ties.ideal(block.counts.sum(axis=2))
        self._bounds: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._precisions: dict[tuple[int, str, str], np.ndarray] = {}

    def average_precision(
        self, cutoff: int, rule: Rule | None = None, denominator: ties.Denominator | None = None
    ) -> np.ndarray:
        """AP@R by the chosen rule of ties and denominator, if no others are given."""
        rule, denominator = rule or self._rule, denominator or self._denominator
        key = cutoff, rule, denominator
        if key not in self._precisions:
            self._precisions[key] = self._rules[rule].average_precision(cutoff, denominator)
        return self._precisions[key]

    def bounds(self, cutoff: int) -> tuple[np.ndarray, np.ndarray]:
        """AP@R of the worst and of the best order of ties."""
        if cutoff not in self._bounds:
            self._bounds[cutoff] = self.buckets.average_precision_bounds(cutoff, self._denominator)
        return self._bounds[cutoff]

    def relevant_within(self, cutoff: int) -> np.ndarray:
        """Relevant items within the top K."""
        return self._rules[self._rule].relevant_within(cutoff)

    def hit_rate(self, cutoff: int) -> np.ndarray:
        """Whether there is a relevant item within the top K."""
        return self._rules[self._rule].hit_rate(cutoff)

    def ndcg(self, cutoff: int, gains: np.ndarray) -> np.ndarray:
        """NDCG@K with the gain of an item of each level of relevance."""
        most = self._ideal.discounted_gain(cutoff, gains)
        return self._rules[self._rule].discounted_gain(cutoff, gains) / np.where(most > 0, most, 1)

    def inside(self, radius: int) -> np.ndarray:
        """Items within a Hamming radius."""
        items: np.ndarray = self.buckets.reached[:, radius]
        return items

    def relevant_inside(self, radius: int) -> np.ndarray:
        """Relevant items within a Hamming radius."""
        items: np.ndarray = self.buckets.found[:, radius]
        return items
