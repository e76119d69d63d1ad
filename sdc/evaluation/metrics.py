"""The catalogue of metrics: an entry for each, or for each family of them that differ in one parameter.

To add a metric, add an entry to ``METRICS``. It is then in ``metrics.json`` of every run and in ``metrics.csv``; and if
it has a ``column``, in the table of metrics and in the report. Whoever prints or draws a metric takes its label, unit,
bounds and direction from here: ``entry_of(key)`` finds the entry of a key of ``metrics.json``, ``values_of(metric,
run)`` the values of a family in a ``metrics.json``, ``headline(R)`` is the key of mAP@R, and ``headline_of(run)`` that
of what tables print of a run.

A metric is ``of`` one kind of subject, and its function takes one:

- ``RankedQueries``, some queries ranked by codes or by exact cosine: a value per query, shape ``(q,)``; what is in
  ``metrics.json`` is the mean over the queries that count;
- ``FoundNeighbours``, the exact cosine neighbours of queries at the distances of their codes: likewise;
- ``HammingPairs``, all pairs of a query and a database item: a number;
- ``FeaturePairs``, pairs by the cosine of their features, of the exact cosine baseline: a number;
- ``CodeHealth``, the codes of the database: a number.

A family's function takes the parameter's value too: ``{R}`` and ``{K}`` are numbers of items, ``{r}`` is a Hamming
radius and ``{B}`` a number of bins. None is for what is not defined; it is left out.

Not in the catalogue are the facts of a run (``queries``, ``ties``, …), confidence intervals (``mAP@R_low``), means over
groups of classes (``mAP@R/head``), and what the revisited benchmark defines for itself (``sdc.evaluation.landmarks``).
"""

import dataclasses
import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sdc.evaluation.code_health import CodeHealth
from sdc.evaluation.collapse import HammingPairs
from sdc.evaluation.feature_pairs import FeaturePairs
from sdc.evaluation.neighbours import FoundNeighbours
from sdc.evaluation.ranked_queries import RankedQueries

_MAP = "mAP@{R}"
UNLABELLED = "neighbour_recall@{K}"
_Bounds = tuple[float | None, float | None]
_RADII = 3  # up to which radius the balls themselves are described


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric, or a family of them.

    Attributes:
        name: Its key in ``metrics.json``, with a family's parameter in braces: ``P@{K}``.
        label: What people read on an axis or in a legend, likewise.
        unit: ``share`` (tables print it in percent), ``bits``, ``items``, ``codes``, ``pairs``, ``distances``,
            ``cosine``, or ``deviations``.
        bounds: Its least and greatest value; None where there is none.
        higher_is_better: None where neither is.
        of: Kind of subject it is measured on.
        function: Takes a subject and, of a family, the parameter's value.
        column: Heading of its column in the table of metrics; empty if it has none.
    """

    name: str
    label: str
    unit: str
    bounds: _Bounds
    higher_is_better: bool | None
    of: type
    function: Callable[..., Any]
    column: str = ""

    @property
    def parameter(self) -> str | None:
        """The name of a family's parameter."""
        match = re.search(r"\{(\w+)\}", self.name)
        return match and match[1]

    def key(self, value: int | None = None) -> str:
        """The key in ``metrics.json``, of a family that of a parameter's value."""
        return self.name if value is None else self.name.format(**{self.parameter or "": value})


def headline(map_at: int | None) -> str:
    """The key of mAP@R in ``metrics.json``, R a number of items or None for all."""
    return _MAP.format(R="all" if map_at is None else map_at)


def headline_of(run: Mapping[str, Any]) -> str:
    """The key of what tables print of a run: mAP at its R; without labels how many of the 10 neighbours are found."""
    return UNLABELLED.format(K=10) if is_unlabelled(run) else headline(run.get("map_at"))


def is_unlabelled(run: Mapping[str, Any]) -> bool:
    """Whether the dataset of a run has no labels, by the content of its ``metrics.json``."""
    return run.get("labels") == "none"


def entry_of(key: str) -> Metric | None:
    """The entry of a key of ``metrics.json``; of codes with the thresholds as trained (``raw_…``) too."""
    key = key.removeprefix("raw_")
    return next((metric for metric in METRICS if _pattern(metric).fullmatch(key)), None)


def values_of(metric: Metric, run: Mapping[str, Any]) -> dict[int, Any]:
    """The values of a family in the content of a ``metrics.json``, by the parameter's value, ascending."""
    matches = ((match, value) for key, value in run.items() if (match := _pattern(metric).fullmatch(key)))
    return dict(sorted((int(match[1]), value) for match, value in matches))


def _pattern(metric: Metric) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", r"(\\d+)", re.escape(metric.name)))


def measure(subject: Any) -> dict[str, Any]:
    """Every metric of a subject, by its key: arrays of ranked queries, else finite numbers."""
    result: dict[str, Any] = {}
    if isinstance(subject, CodeHealth) and not len(subject):
        return result
    mine = [metric for metric in METRICS if isinstance(subject, metric.of)]
    # Families of one parameter that stand together take turns: all of R = 10, then all of R = 20.
    for parameter, group in itertools.groupby(mine, key=lambda metric: metric.parameter):
        family = list(group)
        for arguments in [()] if parameter is None else [(value,) for value in subject.parameters[parameter]]:
            for metric in family:
                value = metric.function(subject, *arguments)
                if value is not None:
                    result[metric.key(*arguments)] = value.item() if isinstance(value, np.generic) else value
    return result


def _average_precision(variant: str, label: str, function: Callable[[RankedQueries, int], np.ndarray]) -> Metric:
    return Metric(_MAP + variant, f"mAP@{{R}}, {label}", *_SHARE, True, RankedQueries, function)


def _separation(of: type, space: str, **columns: str) -> list[Metric]:
    """Fields of ``collapse.Separation``, each with its column."""
    return [
        Metric(f"{space}_{name}", *_SEPARATION[name], of, lambda p, n=name: getattr(p.separation, n, None), column)
        for name, column in columns.items()
    ]


def _gain(queries: RankedQueries) -> np.ndarray:
    return np.arange(queries.depth, dtype=float)


_SHARE: tuple[str, _Bounds] = ("share", (0, 1))
_SEPARATION: dict[str, tuple[str, str, _Bounds, bool]] = {
    "overlap": ("overlap of positive and negative pairs", *_SHARE, False),
    "auc": ("AUC of positive against negative pairs", *_SHARE, True),
    "tie_mass": ("probability that a positive and a negative pair tie", *_SHARE, False),
    "ks": ("Kolmogorov-Smirnov distance of positive and negative pairs", *_SHARE, True),
    "gap": ("gap of the mean similarities", "cosine", (-2, 2), True),
    "gap_sd": ("gap of the mean similarities", "deviations", (None, None), True),
}
METRICS: tuple[Metric, ...] = (
    # Average precision of the first R, by the chosen rule of ties and denominator; then by each other.
    Metric(_MAP, _MAP, *_SHARE, True, RankedQueries, RankedQueries.average_precision, "mAP"),
    _average_precision("/expected", "expected over ties", lambda q, k: q.average_precision(k, rule="expected")),
    _average_precision("/stable", "ties in database order", lambda q, k: q.average_precision(k, rule="stable")),
    _average_precision("/optimistic", "best order of ties", lambda q, k: q.bounds(k)[1]),
    _average_precision("/pessimistic", "worst order of ties", lambda q, k: q.bounds(k)[0]),
    _average_precision("/top", "over those within R", lambda q, k: q.average_precision(k, denominator="top")),
    _average_precision("/min", "over min(R, relevant)", lambda q, k: q.average_precision(k, denominator="min")),
    _average_precision("/total", "over all relevant", lambda q, k: q.average_precision(k, denominator="total")),
    # Of the first K.
    Metric("P@{K}", "precision@{K}", *_SHARE, True, RankedQueries, lambda q, k: q.relevant_within(k) / k),
    Metric("hit_rate@{K}", "hit rate@{K}", *_SHARE, True, RankedQueries, RankedQueries.hit_rate),
    Metric("recall@{K}", "recall@{K}", *_SHARE, True, RankedQueries, lambda q, k: q.relevant_within(k) / q.total),
    # The gain is the number of shared labels g, or 2^g - 1 where items have several.
    Metric("NDCG@{K}", "NDCG@{K}", *_SHARE, True, RankedQueries, lambda q, k: q.ndcg(k, _gain(q))),
    Metric("NDCG_exponential@{K}", "NDCG@{K}, exponential gain", *_SHARE, True, RankedQueries,
           lambda q, k: q.ndcg(k, 2 ** _gain(q) - 1) if q.depth > 2 else None),
    # Within a Hamming radius r: the precision-recall curve; precision is 0 where nothing is within it.
    Metric("precision@radius{r}", "precision within radius {r}", *_SHARE, True, RankedQueries,
           lambda q, r: q.relevant_inside(r) / np.maximum(q.inside(r), 1)),
    Metric("recall@radius{r}", "recall within radius {r}", *_SHARE, True, RankedQueries,
           lambda q, r: q.relevant_inside(r) / q.total),
    Metric("empty_balls@radius{r}", "queries with nothing within radius {r}", *_SHARE, False, RankedQueries,
           lambda q, r: q.inside(r) == 0 if r <= _RADII else None),
    Metric("ball_size@radius{r}", "items within radius {r}", "items", (0, None), None, RankedQueries,
           lambda q, r: q.inside(r) if r <= _RADII else None),
    # Of the K nearest by exact cosine of the features, how many are among the first K; expected over ties.
    Metric(UNLABELLED, "recall@{K} of the exact cosine neighbours", *_SHARE, True, FoundNeighbours,
           FoundNeighbours.recall, "neighbours@{K}"),
    # All pairs of a query and a database item, by Hamming distance. Without labels they are of no kind.
    Metric("positive_pairs", "positive pairs", "pairs", (0, None), None, HammingPairs,
           lambda p: p.positive.sum() if p.labelled else None),
    Metric("negative_pairs", "negative pairs", "pairs", (0, None), None, HammingPairs,
           lambda p: p.negative.sum() if p.labelled else None),
    *_separation(HammingPairs, "hamming", overlap="overlap", auc="AUC", tie_mass="", ks="", gap="", gap_sd=""),
    Metric("hamming_overlap_per_query", "overlap of the pairs of each query", *_SHARE, False, HammingPairs,
           lambda p: p.per_query[0]),
    Metric("hamming_auc_per_query", "AUC of the pairs of each query", *_SHARE, True, HammingPairs,
           lambda p: p.per_query[1]),
    Metric("hamming_w1_binomial", "Wasserstein-1 distance to random codes", "cosine", (0, 2), None, HammingPairs,
           HammingPairs.w1_binomial),
    Metric("distances_in_use", "distances that some pair has", "distances", (0, None), True, HammingPairs,
           lambda p: np.count_nonzero(p.pairs) or None),
    Metric("items_at_distance_0", "items at distance 0 from a query", "items", (0, None), None, HammingPairs,
           lambda p: p.counts[:, 0].mean() if p.pairs.any() else None),
    # Pairs by the cosine of their features; overlap is in so many bins, the others in 20,000. Of a sample also standard
    # errors.
    Metric("feature_pairs", "pairs of features looked at", "pairs", (0, None), None, FeaturePairs, lambda p: p.seen),
    Metric("feature_pairs_share", "share of the pairs looked at", *_SHARE, None, FeaturePairs, lambda p: p.share),
    *_separation(FeaturePairs, "feature", auc="AUC", ks="", gap="", gap_sd=""),
    Metric("feature_overlap_{B}_bins", "overlap of positive and negative pairs, {B} bins", *_SHARE, False,
           FeaturePairs, FeaturePairs.overlap, "overlap"),
    Metric("feature_auc_se", "standard error of the AUC", "share", (0, None), False, FeaturePairs,
           FeaturePairs.auc_error),
    Metric("feature_overlap_{B}_bins_se", "standard error of the overlap, {B} bins", "share", (0, None), False,
           FeaturePairs, FeaturePairs.overlap_error),
    # Bits: p is the share of codes in which one is set.
    Metric("bit_imbalance", "mean of |2 p - 1| over bits", *_SHARE, False, CodeHealth,
           lambda c: np.abs(2 * c.shares - 1).mean(), "bit imbalance"),
    Metric("bit_share_min", "least p", *_SHARE, None, CodeHealth, lambda c: c.shares.min()),
    Metric("bit_share_max", "greatest p", *_SHARE, None, CodeHealth, lambda c: c.shares.max()),
    Metric("bit_entropy", "mean entropy of a bit", "bits", (0, 1), True, CodeHealth, CodeHealth.bit_entropy),
    Metric("dead_bits", "bits that are the same in all codes", "bits", (0, None), False, CodeHealth,
           lambda c: np.count_nonzero(~c.live)),
    Metric("bit_gram_deviation", "deviation of the bits' Gram matrix from I", "share", (0, None), False, CodeHealth,
           CodeHealth.gram_deviation),
    Metric("bit_correlation_mean", "mean absolute correlation of live bits", *_SHARE, False, CodeHealth,
           lambda c: None if c.correlations is None else c.correlations.mean()),
    # Rounding may take the correlation of equal bits a little beyond 1.
    Metric("bit_correlation_max", "greatest absolute correlation of live bits", *_SHARE, False, CodeHealth,
           lambda c: None if c.correlations is None else min(1.0, c.correlations.max())),
    # Codes: f is the share of the n items that have one of the U codes in use.
    Metric("unique_codes", "codes in use", "codes", (0, None), True, CodeHealth, lambda c: len(c.buckets)),
    Metric("unique_share", "codes in use per item", *_SHARE, True, CodeHealth, lambda c: len(c.buckets) / len(c),
           "codes in use"),
    Metric("largest_bucket", "items with the commonest code", "items", (0, None), False, CodeHealth,
           lambda c: c.buckets.max()),
    Metric("largest_bucket_share", "share of items with the commonest code", *_SHARE, False, CodeHealth,
           lambda c: c.buckets.max() / len(c)),
    # The sum of f².
    Metric("collision_probability", "probability that two items have one code", *_SHARE, False, CodeHealth,
           lambda c: ((c.buckets / len(c)) ** 2).sum()),
    # It tells little where ``unique_share`` is near 1.
    Metric("code_entropy", "entropy of the codes", "bits", (0, None), True, CodeHealth, lambda c: c.entropy),
    Metric("code_entropy_max", "greatest possible entropy of the codes", "bits", (0, None), None, CodeHealth,
           lambda c: c.entropy_max),
    # Makes up for codes not yet seen.
    Metric("code_entropy_miller_madow", "entropy of the codes, Miller-Madow", "bits", (0, None), True, CodeHealth,
           lambda c: c.entropy + (len(c.buckets) - 1) / (2 * len(c) * np.log(2))),
    Metric("space_share", "share of all 2^K codes in use", *_SHARE, True, CodeHealth,
           lambda c: len(c.buckets) / 2**c.bits if c.bits <= 24 else None),
    Metric("code_entropy_ratio", "entropy of the codes over the greatest possible", *_SHARE, True, CodeHealth,
           lambda c: c.entropy / c.entropy_max if c.entropy_max > 0 else None),
)  # fmt: skip

# By name, the formula in the notation of docs/evaluation.md, and where it comes from if it is not the usual definition.
# For pairs, p and u are the shares of positive and negative pairs at a similarity s, m their means and v their
# variances; for bits and codes, p and f are as above.
_AP = "mean over queries of Σ_{k≤R} rel_k (c_k / k) / D"
_MCSHERRY = "McSherry and Najork, ECIR 2008"
_PAIRS = "this project's"
FORMULAS: Mapping[str, tuple[str, str]] = {
    "mAP@{R}": (f"{_AP}, ties and D as the config says", ""),
    "mAP@{R}/expected": (f"{_AP}, in expectation over all orders of ties", _MCSHERRY),
    "mAP@{R}/stable": (f"{_AP}, ties in database order", "what public code with a stable sort gives"),
    "mAP@{R}/optimistic": (f"{_AP}, relevant items first among ties", ""),
    "mAP@{R}/pessimistic": (f"{_AP}, relevant items last among ties", ""),
    "mAP@{R}/top": (f"{_AP}, D = c_R", "HashNet's code, and those after it"),
    "mAP@{R}/min": (f"{_AP}, D = min(R, T)", "Google Landmarks v2, CVPR 2020"),
    "mAP@{R}/total": (f"{_AP}, D = T", "the released SDC code, for lists"),
    "P@{K}": ("c_K / K", ""),
    "hit_rate@{K}": ("1 if c_K > 0, else 0", "the released SDC code, as R@K"),
    "recall@{K}": ("c_K / T", ""),
    "NDCG@{K}": ("Σ_{k≤K} g_k / log2(k + 1), over its greatest value", "Järvelin and Kekäläinen, TOIS 2002"),
    "NDCG_exponential@{K}": ("Σ_{k≤K} (2^g_k − 1) / log2(k + 1), over its greatest value", "Burges et al., ICML 2005"),
    "precision@radius{r}": ("relevant items with d ≤ r / items with d ≤ r; 0 if there are none", ""),
    "recall@radius{r}": ("relevant items with d ≤ r / T", ""),
    "empty_balls@radius{r}": ("1 if no item has d ≤ r, else 0", ""),
    "ball_size@radius{r}": ("items with d ≤ r", ""),
    "neighbour_recall@{K}": ("(1/K) Σ_i min(max(K − N_{d_i}, 0), n_{d_i}) / n_{d_i}", "expected over ties"),
    "positive_pairs": ("count", ""),
    "negative_pairs": ("count", ""),
    **{
        f"{space}_{name}": (formula, source)
        for space in ("hamming", "feature")
        for name, (formula, source) in {
            "overlap": ("Σ_s min(p_s, u_s)", _PAIRS),
            "auc": ("P(s₊ > s₋) + P(s₊ = s₋) / 2", "Mann and Whitney, 1947"),
            "tie_mass": ("Σ_s p_s u_s", _PAIRS),
            "ks": ("max_s |P(s₊ ≤ s) − P(s₋ ≤ s)|", "Kolmogorov and Smirnov"),
            "gap": ("m₊ − m₋", _PAIRS),
            "gap_sd": ("(m₊ − m₋) / √((v₊ + v₋) / 2)", "the sensitivity index d′"),
        }.items()
    },
    "hamming_overlap_per_query": ("mean over queries of the overlap of each one's own pairs", _PAIRS),
    "hamming_auc_per_query": ("mean over queries of the AUC of each one's own pairs", _PAIRS),
    "hamming_w1_binomial": ("Σ_s |F(s) − B(s)| · 2/K, B that of K fair coins", _PAIRS),
    "distances_in_use": ("number of d that some pair has", ""),
    "items_at_distance_0": ("mean over queries of n_0", ""),
    "feature_pairs": ("count", ""),
    "feature_pairs_share": ("pairs looked at / all pairs", ""),
    "feature_overlap_{B}_bins": ("Σ_b min(p_b, u_b) over B bins of the cosine", _PAIRS),
    "feature_auc_se": ("standard error over the sampled pairs", ""),
    "feature_overlap_{B}_bins_se": ("standard error over the sampled pairs", ""),
    "bit_imbalance": ("mean over bits of |2p − 1|", ""),
    "bit_share_min": ("min p", ""),
    "bit_share_max": ("max p", ""),
    "bit_entropy": ("mean over bits of −p log2 p − (1 − p) log2 (1 − p)", ""),
    "dead_bits": ("number of bits with p = 0 or p = 1", ""),
    "bit_gram_deviation": ("‖BᵀB / n − I‖ / K, Frobenius, B of −1 and 1", ""),
    "bit_correlation_mean": ("mean over pairs of live bits of |r|", "Pearson"),
    "bit_correlation_max": ("max over pairs of live bits of |r|", "Pearson"),
    "unique_codes": ("U", ""),
    "unique_share": ("U / n", ""),
    "largest_bucket": ("n max f", ""),
    "largest_bucket_share": ("max f", ""),
    "collision_probability": ("Σ f²", ""),
    "code_entropy": ("−Σ f log2 f", "Shannon, 1948"),
    "code_entropy_max": ("min(K, log2 n)", ""),
    "code_entropy_miller_madow": ("−Σ f log2 f + (U − 1) / (2 n ln 2)", "Miller, 1955"),
    "space_share": ("U / 2^K, up to 24 bits", ""),
    "code_entropy_ratio": ("code_entropy / code_entropy_max", ""),
}
