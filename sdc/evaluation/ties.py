"""Ranking metrics when most of a ranking is ties, from counts alone.

K bits give K + 1 distances, so a query sorts the database into K + 1 buckets, and any order inside a bucket is as good
as another. ``Buckets`` gives the exact expectation of every metric over random orders inside the buckets, and the value
of the best and of the worst order; nothing depends on the order of the database. ``Order`` gives the same metrics for
the one order that a ranking happens to have.

In the formulas n items, r of them relevant, lie in a bucket behind N items, R of them relevant; T items are
relevant in all. The t-th of the n positions holds a relevant item with probability r / n, and then each of the t - 1
before it does with rho = (r - 1) / (n - 1). H are the harmonic numbers.

Sources: McSherry & Najork, Computing information retrieval performance measures efficiently in the presence of tied
scores (ECIR 2008); He et al., Hashing as tie-aware learning to rank (CVPR 2018). Both leave out the denominator of the
hashing literature, which is random itself where the cut-off R splits a bucket; here it is exact too.
"""

import copy
import functools
from typing import Literal, Self

import numpy as np

from sdc.plan.scoring import Rule

# How items at equal distances stand.
RULES: dict[Rule, str] = {"expected": "expected over random order", "stable": "database order"}
Denominator = Literal["top", "min", "total"]
# What the sum of the precisions at the relevant ranks up to R is divided by.
DENOMINATORS: dict[Denominator, str] = {
    "top": "relevant items within the top R",
    "min": "R or the number of relevant items, whichever is less",
    "total": "all relevant items",
}

_LOGARITHM = np.log(2e16)  # values that together have no chance of 1e-16 may be left out


class Buckets:
    """Rankings with ties: how many items of each level of relevance are in each bucket, nearest bucket first.

    Cut-offs are numbers of items, at least 1; results have shape ``(Q,)``.

    Args:
        counts: Shape ``(Q, L, B)``, integers; level 0 is not relevant, any other is. Empty buckets are allowed.

    Example:
        >>> buckets = Buckets(np.array([[[1, 1, 0], [1, 2, 1]]]))  # of 2, 3 and 1 items, 1, 2 and 1 of them relevant
        >>> [round(float(buckets.average_precision(R, "top")[0]), 4) for R in (1, 3, 6)]
        [0.5, 0.7222, 0.6694]
    """

    def __init__(self, counts: np.ndarray) -> None:
        self.counts = counts
        self.items, self.relevant = counts.sum(axis=1), counts[:, 1:].sum(axis=1)  # n, r: (Q, B)
        self.reached, self.found = np.cumsum(self.items, axis=1), np.cumsum(self.relevant, axis=1)
        self.before, self.hits = self.reached - self.items, self.found - self.relevant  # N, R
        self.total = self.found[:, -1]  # T: (Q,)
        self._size = int(self.reached[:, -1].max(initial=0))
        self._least, self._most = self.reached.min(axis=0), self.reached.max(axis=0)
        self._narrowed: dict[int, Self] = {}
        self._splits: dict[int, tuple[np.ndarray, tuple[np.ndarray, ...]]] = {}

    @functools.cached_property
    def share(self) -> np.ndarray:
        """Of the items in each bucket, how many are relevant: r / n, shape ``(Q, B)``."""
        return self.relevant / np.maximum(self.items, 1)

    def average_precision(self, cutoff: int, denominator: Denominator) -> np.ndarray:
        """Expected AP@R in [0, 1]; 0 where there is no relevant item within the top R.

        A bucket with m positions within R adds r/n [m rho + (R + 1 - (N + 1) rho) (H(N + m) - H(N))] to the
        numerator. The denominator ``top`` is R0 + X, where X is the number of relevant items that the split bucket
        has within R, which is hypergeometric; given X = x, this bucket adds the same with x and m for r and n.
        """
        near = self._up_to(cutoff)
        rho = (near.relevant - 1) / np.maximum(near.items - 1, 1)
        if denominator != "top":
            sums = self._contribution(near.share, rho, near._kept(cutoff), near.before, near.hits).sum(axis=1)
            return sums / self._known(cutoff, denominator)
        full, split = near._split(cutoff)
        sums = self._contribution(near.share, rho, near.items, near.before, near.hits)
        certain = np.where(full, sums, 0).sum(axis=1)
        items, relevant, before, hits, kept = split
        first, chances = _hypergeometric(items, relevant, kept)
        inside = first[:, None] + np.arange(chances.shape[1])  # x: (Q, width)
        # With x and m for r and n that is x/m times a linear function of x.
        rise = self._rise(before, kept)
        slope = (kept - (before + 1) * rise) / np.maximum(kept - 1, 1)
        level, slope = ((hits + 1) * rise - slope) / kept, slope / kept
        sums = certain[:, None] + inside * (level[:, None] + inside * slope[:, None])
        return (chances * sums / np.maximum(hits[:, None] + inside, 1)).sum(axis=1)

    def average_precision_bounds(self, cutoff: int, denominator: Denominator) -> tuple[np.ndarray, np.ndarray]:
        """AP@R of the worst and of the best order inside the buckets, shape ``(Q,)`` each.

        Relevant items stand last, or first, in their bucket; a run of r of them up to rank N + n adds
        r + (R + r - N - n) (H(N + n) - H(N + n - r)). With the denominator ``top`` it may be better, or worse, that the
        split bucket has fewer of them within R: each more adds to the sum more than the one before, so AP falls and
        then rises with their number. Its greatest value is at an end, its least where a further item would raise it.
        """
        near = self._up_to(cutoff)
        full, (items, relevant, before, hits, kept) = near._split(cutoff)
        worst = np.where(full, self._run(near.relevant, near.reached, near.hits), 0).sum(axis=1)
        best = np.where(full, self._run(near.relevant, near.before + near.relevant, near.hits), 0).sum(axis=1)
        fewest, most = np.maximum(kept - (items - relevant), 0), np.minimum(relevant, kept)

        def last(inside: np.ndarray) -> np.ndarray:
            return worst + self._run(inside, before + kept, hits)

        def first(inside: np.ndarray) -> np.ndarray:
            return best + self._run(inside, before + inside, hits)

        if denominator != "top":
            known = self._known(cutoff, denominator)
            return last(fewest) / known, first(most) / known

        def over_top(sums: np.ndarray, inside: np.ndarray) -> np.ndarray:
            return sums / np.maximum(hits + inside, 1)

        low, high = fewest.copy(), most.copy()
        while (low < high).any():  # bisection: is one more at ``middle`` a gain already?
            middle = (low + high) // 2
            gain = last(middle + 1) - last(middle) >= over_top(last(middle), middle)
            low, high = np.where(gain, low, middle + 1), np.where(gain, middle, high)
            low = np.minimum(low, high)
        return over_top(last(low), low), np.maximum(over_top(first(fewest), fewest), over_top(first(most), most))

    def relevant_within(self, cutoff: int) -> np.ndarray:
        """Expected number of relevant items within the top K: over K it is precision@K, over all of them recall@K."""
        near = self._up_to(cutoff)
        return (near._kept(cutoff) * near.share).sum(axis=1)

    def hit_rate(self, cutoff: int) -> np.ndarray:
        """Probability of a relevant item within the top K: 1 - C(n - r, m) / C(n, m) if no earlier bucket has one."""
        _, (items, relevant, _, hits, kept) = self._up_to(cutoff)._split(cutoff)
        kept = np.where(hits > 0, 0, kept)[:, None]
        position = np.arange(kept.max(initial=0))
        left = items[:, None] - position
        # The chance that a position holds none, given that those before it held none.
        missed = np.maximum(left - relevant[:, None], 0) / np.maximum(left, 1)
        return np.where(hits > 0, 1, 1 - np.prod(np.where(position < kept, missed, 1), axis=1))

    def discounted_gain(self, cutoff: int, gains: np.ndarray) -> np.ndarray:
        """Expected DCG@K: the sum over ranks of the gain of the item there divided by log2(rank + 1).

        Args:
            cutoff: K.
            gains: Gain of an item of each level of relevance, shape ``(L,)``, float.
        """
        near = self._up_to(cutoff)
        means = (gains[:, None] * near.counts).sum(axis=1) / np.maximum(near.items, 1)
        discounts = _discounts(self._size)
        return (means * (discounts[near.before + near._kept(cutoff)] - discounts[near.before])).sum(axis=1)

    def _up_to(self, cutoff: int) -> Self:
        """These rankings but for buckets that in all of them are empty before the first item, or lie behind rank R."""
        end = 1 + int(np.searchsorted(self._least, cutoff))
        if end not in self._narrowed:
            near = self._narrowed[end] = copy.copy(self)
            start = min(int(np.searchsorted(self._most, 1)), len(self._most) - 1)
            for name in ("counts", "items", "relevant", "reached", "found", "before", "hits"):
                setattr(near, name, getattr(self, name)[..., start:end])
            near.__dict__.pop("share", None)
            near._splits = {}
        return self._narrowed[end]

    def _kept(self, cutoff: int) -> np.ndarray:
        """How many positions of each bucket are within the top R, shape ``(Q, B)``."""
        return np.clip(cutoff - self.before, 0, self.items)

    def _known(self, cutoff: int, denominator: Denominator) -> np.ndarray:
        return np.maximum(np.minimum(self.total, cutoff) if denominator == "min" else self.total, 1)

    def _split(self, cutoff: int) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Which buckets lie before that of rank R, shape ``(Q, B)``; n, r, N, R and m of that one, ``(Q,)`` each."""
        if cutoff not in self._splits:
            rank = np.minimum(cutoff, self.reached[:, -1])
            place = np.argmax(self.reached >= rank[:, None], axis=1)
            full = np.arange(self.items.shape[1]) < place[:, None]
            there = np.arange(len(place)), place
            n, r, before, hits = (array[there] for array in (self.items, self.relevant, self.before, self.hits))
            self._splits[cutoff] = full, (n, r, before, hits, rank - before)
        return self._splits[cutoff]

    def _contribution(
        self, share: np.ndarray, rho: np.ndarray, kept: np.ndarray, before: np.ndarray, hits: np.ndarray
    ) -> np.ndarray:
        return share * (kept * rho + (hits + 1 - (before + 1) * rho) * self._rise(before, kept))

    def _rise(self, before: np.ndarray, length: np.ndarray) -> np.ndarray:
        """H(N + m) - H(N)."""
        harmonic = harmonic_numbers(self._size)
        return harmonic[before + length] - harmonic[before]

    def _run(self, length: np.ndarray, end: np.ndarray, hits: np.ndarray) -> np.ndarray:
        """Sum of the precisions at so many relevant items in a row, the last of them at a rank, behind R others."""
        return length + (hits - (end - length)) * self._rise(end - length, length)


class Order:
    """Rankings without ties: the level of relevance of each item in the order it has. Metrics as of ``Buckets``.

    Args:
        levels: Shape ``(Q, top)``, uint8; 0 is not relevant. Cut-offs beyond it see only these.
        total: Number of relevant items in the whole database, shape ``(Q,)``.

    Example:
        >>> order = Order(np.array([[1, 0, 1, 0]], np.uint8), np.array([5]))
        >>> [round(float(order.average_precision(4, name)[0]), 4) for name in ("top", "min", "total")]
        [0.8333, 0.4167, 0.3333]
    """

    def __init__(self, levels: np.ndarray, total: np.ndarray) -> None:
        self.levels, self.total = levels, total
        relevant = levels > 0
        self._hits = np.cumsum(relevant, axis=1, dtype=np.int32)  # up to each rank
        self._precisions = self._hits / np.arange(1.0, 1 + levels.shape[1]) * relevant

    def average_precision(self, cutoff: int, denominator: Denominator) -> np.ndarray:
        """AP@R."""
        sums = self._precisions[:, :cutoff].sum(axis=1)
        hits = self.relevant_within(cutoff)
        known = {"top": hits, "min": np.minimum(self.total, cutoff), "total": self.total}[denominator]
        return sums / np.maximum(known, 1)

    def relevant_within(self, cutoff: int) -> np.ndarray:
        """Number of relevant items within the top K."""
        return self._hits[:, :cutoff][:, -1]

    def hit_rate(self, cutoff: int) -> np.ndarray:
        """Whether there is a relevant item within the top K: 1 or 0."""
        return (self.relevant_within(cutoff) > 0).astype(float)

    def discounted_gain(self, cutoff: int, gains: np.ndarray) -> np.ndarray:
        """DCG@K."""
        top = self.levels[:, :cutoff]
        return gains[top] @ (1 / np.log2(np.arange(2, top.shape[1] + 2)))


def ideal(counts: np.ndarray) -> Buckets:
    """The best ranking of the database, a bucket for each level: NDCG@K is DCG@K divided by that of this one.

    Args:
        counts: Items of each level of relevance, shape ``(Q, L)``, integers.
    """
    return Buckets((np.eye(counts.shape[1], dtype=np.int64) * counts[:, None])[:, :, ::-1])


def _hypergeometric(items: np.ndarray, relevant: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Chances of the number of relevant items among those drawn without replacement, for Q cases.

    Values that together have no chance of 1e-16 are left out: by Bernstein's inequality those further from the mean
    than t with t² = 2 (V + t / 3) log(2e16), V the variance of the binomial distribution, which is the wider of the
    two. Returned are the first value of each case, shape ``(Q,)``, and the chances of it and those after it, shape
    ``(Q, width)``.
    """
    share = relevant / items
    mean = drawn * share
    # What is not drawn spreads as much; much further out, chances would not fit into a float.
    variance = np.minimum(drawn, items - drawn) * share * (1 - share)
    reach = _LOGARITHM / 3 + np.sqrt(_LOGARITHM**2 / 9 + 2 * _LOGARITHM * variance)
    first = np.maximum(np.maximum(drawn - (items - relevant), 0), np.floor(mean - reach)).astype(np.int64)
    last = np.minimum(np.minimum(drawn, relevant), np.ceil(mean + reach)).astype(np.int64)
    values = first[:, None] + np.arange(1 + (last - first).max(initial=0))
    items, relevant, drawn = items[:, None], relevant[:, None], drawn[:, None]
    # From one value to the next; 0 past the greatest that is possible, and so from there on.
    ratios = (relevant - values + 1) * (drawn - values + 1.0)
    ratios /= np.maximum(values * (items - relevant - drawn + values), 1)
    ratios[:, 0] = 1
    chances = np.cumprod(ratios, axis=1)
    return first, chances / chances.sum(axis=1, keepdims=True)


@functools.lru_cache(maxsize=8)
def harmonic_numbers(size: int) -> np.ndarray:
    """1 + 1/2 + … + 1/k for k from 0 to size."""
    return np.concatenate([[0.0], np.cumsum(1 / np.arange(1, size + 1))])


@functools.lru_cache(maxsize=8)
def _discounts(size: int) -> np.ndarray:
    """Sum of 1 / log2(rank + 1) over the first k ranks, for k from 0 to size."""
    return np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, size + 2)))])
