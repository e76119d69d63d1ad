"""Similarity collapse: how far the similarities of positive and negative pairs overlap; the health of bits and codes.

A positive pair is a query and a database item that is relevant to it, a negative pair one that is not. Every function
gives a flat dict of finite numbers; what is undefined (no positive pair, no two live bits) is left out.

Source: the histogram intersection is what SDC (BMVC 2023) measures similarity collapse by.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from sdc import calibration
from sdc.errors import SDCError

_GROUPS = 20  # of sampled database items, each left out in turn
_FINE = 20_000  # bins that stand for none
_QUERIES, _ITEMS = 256, 4096  # of the pairs compared at a time
_ROWS = 2**14  # codes unpacked at a time; float32 counts to 2**24


# Pairs in Hamming space


def hamming_separation(counts: np.ndarray, relevant: np.ndarray, law: str | None = None) -> dict[str, float | int]:
    """How far positive and negative pairs lie apart in Hamming space: all pairs, exactly, on the K + 1 similarities.

    The similarity of two codes at distance d is 1 - 2 d / K, the cosine of their signs.

    Args:
        counts: Items of the database at each distance from each query, shape ``(Q, K + 1)``, integers.
        relevant: The relevant ones among them, same shape.
        law: A target law of similarities, see ``calibration.quantiles``; None leaves ``hamming_w1`` out, and SciPy too.

    Returns:
        Of the pairs of all queries together:

        - ``hamming_overlap``: sum over distances of the smaller of the shares of positive and negative pairs; 1 if
          nothing tells them apart;
        - ``hamming_auc``: probability that a positive pair is closer than a negative one, equally close counting half;
        - ``hamming_tie_mass``: probability that they are equally close;
        - ``hamming_ks``: greatest difference of the cumulated shares;
        - ``hamming_gap``: difference of the mean similarities; ``hamming_gap_sd``: that over the root mean of the two
          variances;
        - ``hamming_w1``: mean absolute difference of the ranked similarities of all pairs from their targets by the law
          (Wasserstein-1, on 10,000 quantiles); ``hamming_w1_binomial``: from those of random codes, exactly;
        - ``distances_in_use``: distances that some pair has;
        - ``positive_pairs`` and ``negative_pairs``: how many.

        ``hamming_overlap_per_query`` and ``hamming_auc_per_query`` are means over the queries that have pairs of both
        kinds, ``items_at_distance_0`` over all queries.
    """
    bits = counts.shape[1] - 1
    similarities = 1 - 2 * np.arange(bits + 1) / bits
    others = counts - relevant
    positive, negative, pairs = (array.sum(axis=0) for array in (relevant, others, counts))
    result: dict[str, float | int] = {"positive_pairs": int(positive.sum()), "negative_pairs": int(negative.sum())}
    if positive.any() and negative.any():
        measures = _separation(positive, negative, similarities)
        result |= {f"hamming_{name}": value for name, value in measures.items()}
        both = relevant.any(axis=1) & others.any(axis=1)
        if both.any():
            shares = _shares(relevant[both]), _shares(others[both])
            result["hamming_overlap_per_query"] = float(_overlap(*shares).mean())
            result["hamming_auc_per_query"] = float(_auc(*shares).mean())
    if pairs.any():
        if law is not None:
            result["hamming_w1"] = _distance_to_law(pairs[::-1], similarities[::-1], law)
        result["hamming_w1_binomial"] = _distance_to_random(pairs)
        result["distances_in_use"] = int(np.count_nonzero(pairs))
        result["items_at_distance_0"] = float(counts[:, 0].mean())
    return result


def hamming_overlaps(counts: np.ndarray, relevant: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """``hamming_overlap`` of the queries of each group alone.

    Args:
        counts, relevant: See ``hamming_separation``.
        groups: Of each query, shape ``(Q,)``, integers from 0; below 0 it is in none.

    Returns:
        Shape ``(1 + greatest group,)``; NaN for a group that has no positive or no negative pair.
    """
    result = np.full(1 + int(groups.max(initial=-1)), np.nan)
    for group in np.unique(groups[groups >= 0]):
        positive, items = (array[groups == group].sum(axis=0) for array in (relevant, counts))
        if positive.any() and (items > positive).any():
            result[group] = _overlap(_shares(positive), _shares(items - positive))
    return result


def _distance_to_law(counts: np.ndarray, similarities: np.ndarray, law: str) -> float:
    """Wasserstein-1 distance of similarities, ascending, to a law."""
    targets = calibration.quantiles(law, 10_000, len(counts) - 1)
    ranks = (np.arange(len(targets)) + 0.5) / len(targets) * counts.sum()
    return float(np.abs(similarities[np.searchsorted(np.cumsum(counts), ranks)] - targets).mean())


def _distance_to_random(counts: np.ndarray) -> float:
    """Wasserstein-1 distance of similarities to those of codes with independent, even bits: binomial distances."""
    bits = len(counts) - 1
    chosen = itertools.accumulate(math.comb(bits, distance) for distance in range(bits))
    random = np.array([ways / 2**bits for ways in chosen])  # whole numbers: exact for any number of bits
    return float(np.abs(np.cumsum(counts)[:-1] / counts.sum() - random).sum() * 2 / bits)


# Pairs in feature space


class FeaturePairs:
    """Positive and negative pairs by the cosine of their features.

    All pairs up to a number; beyond it, all queries with a seeded sample of the database. Where few items are relevant
    to any query, as in instance retrieval, these are all in the sample, and the others stand for those not drawn.

    Args:
        queries: Features, shape ``(Q, dim)``, float. None of them is in the database.
        database: Features of consecutive items, shape ``(b, dim)`` each, float; gone through once.
        size: Number of items in the database, N.
        relevant: A function from a query's position to an array of shape ``(N,)``, above 0 where an item is relevant.
        bins: In how many equal bins on [-1, 1] to count; several may be given.
        max_pairs: How many pairs to look at; each takes a byte.
        seed: Of the sample.
        groups: Of queries whose overlap is asked for, see ``overlaps``; shape ``(Q,)``, integers from 0, below 0 for
            none. Each takes some 100 kB.

    Raises:
        SDCError: If a feature is not finite, or the database has other features than the queries or another size.
    """

    def __init__(
        self,
        queries: np.ndarray,
        database: Iterable[np.ndarray],
        size: int,
        relevant: Callable[[int], np.ndarray],
        bins: Sequence[int] = (200,),
        max_pairs: int = 10**8,
        seed: int = 0,
        groups: np.ndarray | None = None,
    ) -> None:
        most = max(2 * _GROUPS, max_pairs // max(1, len(queries)))
        drawn = _sample(size, most, len(queries), relevant, seed)
        rows = np.flatnonzero(drawn >= 0)
        truth = np.empty((len(queries), len(rows)), bool)
        for position, row in enumerate(truth):
            row[:] = relevant(position)[rows]
        asked = np.zeros(len(queries), np.int64) if groups is None else 1 + np.maximum(groups, -1).astype(np.int64)
        histograms = _histograms(queries, database, drawn, truth, (*bins, _FINE), asked)
        self._bins, self._seen, self._share = bins, truth.size, len(rows) / max(1, size)

        # First of the whole sample, then without each group in turn; the drawn items stand for all that could be drawn.
        self._drawn = np.bincount(drawn[rows], minlength=_GROUPS + 1)[1:]
        self._pool = np.count_nonzero(drawn)
        weights = 1 - np.eye(_GROUPS + 1)
        weights[0] = 1
        weights[:, 1:] *= self._pool / np.maximum(weights[:, 1:] @ self._drawn, 1)[:, None]
        self._replicates = {
            number: np.tensordot(weights, histogram.sum(axis=0), 1) for number, histogram in histograms.items()
        }
        self._by_group = {number: np.tensordot(weights[0], histograms[number][1:], (0, 1)) for number in bins}

    def histogram(self, bins: int) -> np.ndarray:
        """Positive and negative pairs in each bin, from most to least similar, shape ``(2, bins)``, float.

        Where only a sample was looked at, estimates of all pairs.
        """
        return self._replicates[bins][0]

    def overlaps(self, bins: int) -> np.ndarray:
        """``feature_overlap_{bins}_bins`` of the queries of each group alone; NaN where one kind of pair is missing."""
        result = np.full(len(self._by_group[bins]), np.nan)
        for group, pairs in enumerate(self._by_group[bins]):
            if pairs.any(axis=1).all():
                result[group] = _overlap(*_shares(pairs))
        return result

    def separation(self) -> dict[str, float | int]:
        """How far positive and negative pairs lie apart.

        Overlap grows with the width of the bins: compare K-bit codes with features in K + 1 bins.

        Returns:
            ``feature_overlap_{B}_bins`` for each number of bins B; ``feature_auc``, ``feature_ks``, ``feature_gap`` and
            ``feature_gap_sd``, in 20,000 bins; see ``hamming_separation``. ``feature_pairs``: how many were looked at,
            and ``feature_pairs_share``: of all, 1 if exact.

            Of a sample also ``feature_overlap_{B}_bins_se`` and ``feature_auc_se``: standard errors against all pairs,
            by a jackknife that leaves out a twentieth of the drawn items in turn.
        """
        replicates = self._replicates
        pairs = replicates[_FINE].sum(axis=2)  # (1 + groups, 2)
        result: dict[str, float | int] = {"feature_pairs": self._seen}
        if self._seen:
            result["feature_pairs_share"] = self._share
        if pairs[0].all():
            positive, negative = replicates[_FINE][0]
            measures = _separation(positive, negative, 1 - (2 * np.arange(_FINE) + 1) / _FINE)
            result |= {f"feature_{name}": measures[name] for name in ("auc", "ks", "gap", "gap_sd") if name in measures}
            result |= {
                f"feature_overlap_{number}_bins": float(_overlap(*_shares(replicates[number][0])))
                for number in self._bins
            }
        if self._pool and pairs.all():
            deviation = np.sqrt((1 - self._drawn.sum() / self._pool) * (_GROUPS - 1))
            left_out = {number: np.moveaxis(_shares(values[1:]), 1, 0) for number, values in replicates.items()}
            result["feature_auc_se"] = float(deviation * np.std(_auc(*left_out[_FINE])))
            for number in self._bins:
                result[f"feature_overlap_{number}_bins_se"] = float(deviation * np.std(_overlap(*left_out[number])))
        return result


def _sample(total: int, most: int, queries: int, relevant: Callable[[int], np.ndarray], seed: int) -> np.ndarray:
    """The group of each database item, shape ``(total,)``: 0 if looked at anyway, 1 … if drawn, -1 if neither."""
    if total <= most:
        return np.zeros(total, np.int64)
    listed = np.zeros(total, bool)
    for position in range(queries):
        listed |= relevant(position) > 0
    if np.count_nonzero(listed) > most // 2:
        listed[:] = False
    groups = np.where(listed, 0, -1)
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(~listed))[: most - np.count_nonzero(listed)]
    groups[drawn] = 1 + np.arange(len(drawn)) % _GROUPS
    return groups


def _histograms(
    queries: np.ndarray,
    database: Iterable[np.ndarray],
    groups: np.ndarray,
    truth: np.ndarray,
    numbers: Sequence[int],
    asked: np.ndarray,
) -> dict[int, np.ndarray]:
    """By number of bins, positive and negative pairs in each, from most to least similar.

    Shape ``(1 + groups of queries, 1 + groups of items, 2, bins)``; of the finest bins without groups of queries.
    """
    sizes = {number: 1 if number == _FINE else 1 + int(asked.max(initial=0)) for number in numbers}
    result = {number: np.zeros((size, _GROUPS + 1, 2, number), np.int64) for number, size in sizes.items()}
    unit = _unit(queries, "query", 0)
    seen = sampled = 0
    pieces = (block[low : low + _ITEMS] for block in database for low in range(0, len(block), _ITEMS))
    for piece in pieces:
        if piece.shape[1] != queries.shape[1]:
            raise SDCError(
                f"features of the queries have {queries.shape[1]} dimensions, those of the database {piece.shape[1]}; "
                "take both from the same backbone"
            )
        items, group = _unit(piece, "database", seen), groups[seen : seen + len(piece)]
        if len(group) < len(items):
            raise SDCError(f"features of more database items than the {len(groups)} that have ground truth")
        items, group = items[group >= 0], group[group >= 0]
        for first in range(0, len(queries), _QUERIES):
            some = slice(first, first + _QUERIES)
            distances = 1 - unit[some] @ items.T
            kinds = 2 * group + ~truth[some, sampled : sampled + len(items)]
            for number, histogram in result.items():
                # Rounding may take a cosine a little beyond 1 or -1.
                places = np.clip((distances * (number / 2)).astype(np.int64), 0, number - 1)
                places += kinds * number
                if len(histogram) > 1:
                    places += asked[some, None] * histogram[0].size
                histogram += np.bincount(places.ravel(), minlength=histogram.size).reshape(histogram.shape)
        seen, sampled = seen + len(piece), sampled + len(items)
    if seen < len(groups):
        raise SDCError(f"features of {seen} database items, but ground truth for {len(groups)}")
    return result


def _unit(features: np.ndarray, split: str, start: int) -> np.ndarray:
    """Features scaled to length 1, float32; ``start`` is the position of the first."""
    features = np.asarray(features, np.float32)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        position = start + np.argmin(np.isfinite(lengths[:, 0]))
        raise SDCError(f"features: {split} item {position} holds NaN or infinity; mend the image or the backbone")
    return features / np.maximum(lengths, 1e-12)


# Two distributions on the same atoms, from the most to the least similar; the last axis is the atoms


def _separation(positive: np.ndarray, negative: np.ndarray, similarities: np.ndarray) -> dict[str, float]:
    p, u = _shares(positive), _shares(negative)
    means = p @ similarities, u @ similarities
    variance = (p @ (similarities - means[0]) ** 2 + u @ (similarities - means[1]) ** 2) / 2
    result = {
        "overlap": float(_overlap(p, u)),
        "auc": float(_auc(p, u)),
        "tie_mass": float(p @ u),
        "ks": float(np.abs(np.cumsum(p) - np.cumsum(u)).max()),
        "gap": float(means[0] - means[1]),
    }
    if variance > 0:
        result["gap_sd"] = float(result["gap"] / np.sqrt(variance))
    return result


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / counts.sum(axis=-1, keepdims=True)


def _overlap(p: np.ndarray, u: np.ndarray) -> np.ndarray:
    return np.minimum(p, u).sum(axis=-1)


def _auc(p: np.ndarray, u: np.ndarray) -> np.ndarray:
    return (p * (1 - np.cumsum(u, axis=-1) + u / 2)).sum(axis=-1)


# Bits and codes


def bit_health(codes: np.ndarray, bits: int | None = None) -> dict[str, float | int]:
    """How even and how independent bits are.

    Args:
        codes: Packed codes, shape ``(n, K / 8)``, uint8.
        bits: K, if the last byte is padded with zeros.

    Returns:
        With p the share of codes in which a bit is set:

        - ``bit_imbalance``: mean over bits of |2 p - 1|, 0 if all are even, 1 if all are dead;
        - ``bit_share_min``, ``bit_share_max``: of p; ``dead_bits``: bits that are the same in all codes;
        - ``bit_entropy``: mean entropy of a bit, at most 1;
        - ``bit_correlation_mean``, ``bit_correlation_max``: of the absolute correlations of two bits that are not dead;
        - ``bit_gram_deviation``: ‖BᵀB / n - I‖ / K, Frobenius, of the signs B uncentred, so that uneven bits add to it.
    """
    n = len(codes)
    if not n:
        return {}
    width = bits or 8 * codes.shape[1]
    both = np.zeros((width, width))  # codes in which two bits are set: whole numbers throughout
    for start in range(0, n, _ROWS):
        block = np.unpackbits(codes[start : start + _ROWS], axis=1, count=width).astype(np.float32)
        both += block.T @ block
    ones = both.diagonal()
    live = (ones > 0) & (ones < n)
    result: dict[str, float | int] = {
        "bit_imbalance": float(np.abs(2 * ones / n - 1).mean()),
        "bit_share_min": float(ones.min() / n),
        "bit_share_max": float(ones.max() / n),
        "bit_entropy": float((_surprise(ones / n) + _surprise(1 - ones / n)).mean()),
        "dead_bits": int(np.count_nonzero(~live)),
        "bit_gram_deviation": float(
            np.linalg.norm((4 * both - 2 * np.add.outer(ones, ones)) / n + 1 - np.eye(width)) / width
        ),
    }
    if np.count_nonzero(live) > 1:
        deviations = np.sqrt(ones * (n - ones))[live]
        covariances = (n * both - np.outer(ones, ones))[np.ix_(live, live)]
        correlations = np.abs(covariances / np.outer(deviations, deviations))[~np.eye(len(deviations), dtype=bool)]
        result["bit_correlation_mean"] = float(correlations.mean())
        # Rounding may take the correlation of equal bits a little beyond 1.
        result["bit_correlation_max"] = min(1.0, float(correlations.max()))
    return result


def code_health(codes: np.ndarray, bits: int | None = None) -> dict[str, float | int]:
    """How many codes are in use, and how evenly.

    Args:
        codes: Packed codes, shape ``(n, K / 8)``, uint8.
        bits: K, if the last byte is padded with zeros.

    Returns:
        With f the share of items that have a code:

        - ``unique_codes``: how many U there are; ``unique_share``: U / n; for up to 24 bits ``space_share``: U / 2^K;
        - ``largest_bucket``: items with the commonest code; ``largest_bucket_share``: of all items;
        - ``collision_probability``: sum of f², that two items drawn with replacement have one code;
        - ``code_entropy``: - sum of f log₂ f, in bits; it tells little where ``unique_share`` is near 1;
          ``code_entropy_max``: min(K, log₂ n), the most it can be; ``code_entropy_ratio``: of the two, unless it is 0;
          ``code_entropy_miller_madow``: plus (U - 1) / (2 n ln 2), which makes up for codes not yet seen.
    """
    n = len(codes)
    if not n:
        return {}
    width = bits or 8 * codes.shape[1]
    whole = np.ascontiguousarray(codes).view(np.dtype((np.void, codes.shape[1])))
    buckets = np.unique(whole, return_counts=True)[1]
    unique = len(buckets)
    entropy = float(_surprise(buckets / n).sum())
    most = min(float(width), float(np.log2(n)))
    result: dict[str, float | int] = {
        "unique_codes": unique,
        "unique_share": unique / n,
        "largest_bucket": int(buckets.max()),
        "largest_bucket_share": float(buckets.max() / n),
        "collision_probability": float(((buckets / n) ** 2).sum()),
        "code_entropy": entropy,
        "code_entropy_max": most,
        "code_entropy_miller_madow": entropy + (unique - 1) / (2 * n * float(np.log(2))),
    }
    if width <= 24:
        result["space_share"] = unique / 2**width
    if most > 0:
        result["code_entropy_ratio"] = entropy / most
    return result


def _surprise(shares: np.ndarray) -> np.ndarray:
    """Each share's part of an entropy in bits: 0 for 0."""
    return -shares * np.log2(np.where(shares > 0, shares, 1))
