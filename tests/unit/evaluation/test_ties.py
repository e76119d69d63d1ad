import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score, ndcg_score

from sdc.evaluation import ties
from sdc.evaluation.ties import DENOMINATORS, Buckets, Order

# Distances 0 0 1 1 1 2, relevance 1 0 1 0 1 1; gains 3 0 1 0 2 1.
WORKED = Buckets(np.array([[[1, 1, 0], [1, 2, 1]]]))
GRADED = Buckets(np.array([[[1, 1, 0], [0, 1, 1], [0, 1, 0], [1, 0, 0]]]))


@pytest.mark.parametrize(
    ("cutoff", "top", "minimum", "total", "precision", "hit"),
    [
        (1, 1 / 2, 1 / 2, 1 / 8, 1 / 2, 1 / 2),
        (2, 3 / 4, 3 / 8, 3 / 16, 1 / 2, 1),
        (3, 13 / 18, 43 / 108, 43 / 144, 5 / 9, 1),
        (4, 37 / 54, 29 / 72, 29 / 72, 7 / 12, 1),
        (5, 181 / 270, 181 / 360, 181 / 360, 3 / 5, 1),
        (6, 241 / 360, 241 / 360, 241 / 360, 2 / 3, 1),
    ],
)
def test_worked_example(cutoff, top, minimum, total, precision, hit):
    expected = {"top": top, "min": minimum, "total": total}
    for denominator, value in expected.items():
        assert WORKED.average_precision(cutoff, denominator)[0] == pytest.approx(value, abs=1e-14)
    assert WORKED.relevant_within(cutoff)[0] / cutoff == pytest.approx(precision)
    assert WORKED.hit_rate(cutoff)[0] == pytest.approx(hit)


def test_worked_bounds():
    # Whole ranking: 17/30 and 37/48. At 3 the best has only one relevant item, at rank 1.
    assert [bound[0] for bound in WORKED.average_precision_bounds(6, "top")] == pytest.approx([17 / 30, 37 / 48])
    assert [bound[0] for bound in WORKED.average_precision_bounds(3, "top")] == pytest.approx([1 / 2, 1])


def test_worked_gains():
    ideal = ties.ideal(GRADED.counts.sum(axis=2))
    for gains, at_3, at_6 in (([0, 1, 2, 3], 0.618749, 0.793472), ([0, 1, 3, 7], 0.678704, 0.796172)):
        gains = np.array(gains, float)
        found = [GRADED.discounted_gain(k, gains)[0] / ideal.discounted_gain(k, gains)[0] for k in (3, 6)]
        assert found == pytest.approx([at_3, at_6], abs=1e-6)


def test_worked_orders():
    # Relevant at ranks 1 and 3 of 4, and three more behind them.
    order = Order(np.array([[1, 0, 1, 0]], np.uint8), np.array([5]))
    assert [order.average_precision(4, name)[0] for name in DENOMINATORS] == pytest.approx([5 / 6, 5 / 12, 1 / 3])
    # Junk gone, positives at ranks 1, 3 and 4.
    order = Order(np.array([[1, 0, 1, 1]], np.uint8), np.array([3]))
    assert order.average_precision(4, "total")[0] == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def by_definition(levels, cutoff, gains):
    """AP by denominator, relevant items, hit, and DCG of one order, on lists."""
    hits, total = 0, 0.0
    for rank, level in enumerate(levels[:cutoff], start=1):
        if level:
            hits += 1
            total += hits / rank
    everything = sum(level > 0 for level in levels)
    known = {"top": hits, "min": min(everything, cutoff), "total": everything}
    scores = {name: total / count if count else 0.0 for name, count in known.items()}
    gain = sum(gains[level] / math.log2(rank + 1) for rank, level in enumerate(levels[:cutoff], start=1))
    return {**scores, "within": hits, "hit": float(hits > 0), "gain": gain}


@given(
    st.lists(st.lists(st.integers(0, 2), max_size=5), min_size=1, max_size=4).filter(lambda b: 0 < len(sum(b, [])) < 9),
    st.integers(1, 10),
)
def test_expectation_and_bounds_are_those_of_all_orders(buckets, cutoff):
    gains = [0.0, 1.0, 3.0]
    # Every distinct order of the levels inside a bucket stands for as many permutations.
    orders = [
        sum(map(list, order), [])
        for order in itertools.product(*(sorted(set(itertools.permutations(bucket))) for bucket in buckets))
    ]
    all_scores = [by_definition(order, cutoff, gains) for order in orders]
    counts = np.array([[[bucket.count(level) for bucket in buckets] for level in range(3)]])
    found = Buckets(counts)
    mean = {name: np.mean([scores[name] for scores in all_scores]) for name in all_scores[0]}
    for denominator in DENOMINATORS:
        values = [scores[denominator] for scores in all_scores]
        assert found.average_precision(cutoff, denominator)[0] == pytest.approx(mean[denominator], abs=1e-12)
        bounds = [bound[0] for bound in found.average_precision_bounds(cutoff, denominator)]
        assert bounds == pytest.approx([min(values), max(values)], abs=1e-12)
    assert found.relevant_within(cutoff)[0] == pytest.approx(mean["within"], abs=1e-12)
    assert found.hit_rate(cutoff)[0] == pytest.approx(mean["hit"], abs=1e-12)
    assert found.discounted_gain(cutoff, np.array(gains))[0] == pytest.approx(mean["gain"], abs=1e-12)
    best = max(by_definition(sorted(orders[0], reverse=True), cutoff, gains)["gain"], 0)
    assert ties.ideal(counts.sum(axis=2)).discounted_gain(cutoff, np.array(gains))[0] == pytest.approx(best)
    one = Order(np.array(orders[:1], np.uint8), np.count_nonzero(orders[:1], axis=1))
    assert {name: one.average_precision(cutoff, name)[0] for name in DENOMINATORS} == pytest.approx(
        {name: all_scores[0][name] for name in DENOMINATORS}
    )
    assert one.relevant_within(cutoff)[0] == all_scores[0]["within"]
    assert one.hit_rate(cutoff)[0] == all_scores[0]["hit"]
    assert one.discounted_gain(cutoff, np.array(gains))[0] == pytest.approx(all_scores[0]["gain"])


@given(st.lists(st.lists(st.integers(0, 5), min_size=2, max_size=2), min_size=3, max_size=3).map(np.array))
def test_queries_do_not_mix(counts):
    counts = np.stack([counts.T, np.ones_like(counts.T), counts.T[:, ::-1]])  # (3 queries, 2 levels, 3 buckets)
    together = Buckets(counts)
    for cutoff in (1, 4, 30):
        alone = [Buckets(one[None]).average_precision(cutoff, "top")[0] for one in counts if one.sum()]
        kept = counts.sum(axis=(1, 2)) > 0
        assert Buckets(counts[kept]).average_precision(cutoff, "top") == pytest.approx(alone, abs=1e-13)
        if kept.all():
            assert together.hit_rate(cutoff)[1] == Buckets(counts[1:2]).hit_rate(cutoff)[0]


@given(st.integers(1, 60_000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
@example((28_245, 865, 27_651))
def test_chances_are_hypergeometric(case):
    items, relevant, drawn = case
    first, chances = ties._hypergeometric(*(np.array([number]) for number in case))
    values = first[0] + np.arange(chances.shape[1])
    assert chances[0] == pytest.approx(stats.hypergeom.pmf(values, items, relevant, drawn), rel=1e-7, abs=1e-13)
    assert stats.hypergeom.cdf(first[0] - 1, items, relevant, drawn) < 1e-13
    assert stats.hypergeom.sf(values[-1], items, relevant, drawn) < 1e-13


def test_large_buckets_agree_with_direct_sums():
    # n items, r of them relevant, behind N items of which R are relevant; the first m of them are within the cut-off.
    before, found, items, relevant, cutoff = 300, 100, 700_000, 90_000, 5000
    buckets = Buckets(np.array([[[before - found, items - relevant], [found, relevant]]]))
    position = np.arange(1, cutoff - before + 1)
    rho = (relevant - 1) / (items - 1)
    second = relevant / items * math.fsum((found + 1 + (position - 1) * rho) / (before + position))
    position = np.arange(1, before + 1)
    rho = (found - 1) / (before - 1)
    first = found / before * math.fsum((1 + (position - 1) * rho) / position)
    expected = (first + second) / cutoff
    assert buckets.average_precision(cutoff, "min")[0] == pytest.approx(expected, rel=1e-12)
    # With so many drawn, the random denominator is all but its mean.
    plug_in = (first + second) / buckets.relevant_within(cutoff)[0]
    assert buckets.average_precision(cutoff, "top")[0] == pytest.approx(plug_in, rel=1e-3)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=30).filter(any))
def test_whole_rankings_without_ties_are_scikit_learns(relevant):
    scores = -np.arange(len(relevant), dtype=float)
    counts = np.array([[[1 - bit for bit in relevant], relevant]])
    expected = average_precision_score(relevant, scores)
    for denominator in DENOMINATORS:
        assert Buckets(counts).average_precision(len(relevant), denominator)[0] == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30), st.integers(1, 31))
def test_gain_is_scikit_learns_which_averages_ties_too(items, k):
    distances, levels = np.array(items).T
    counts = np.zeros((1, 4, 4), int)
    np.add.at(counts[0], (levels, distances), 1)
    gains = np.arange(4.0)
    ideal = ties.ideal(counts.sum(axis=2)).discounted_gain(k, gains)[0]
    found = Buckets(counts).discounted_gain(k, gains)[0] / ideal if ideal else 0.0
    assert found == pytest.approx(ndcg_score([levels], [-distances], k=k))


def test_one_bucket_is_chance():
    # Collapsed codes: every precision is the share of relevant items, whatever the cut-off.
    buckets = Buckets(np.array([[[900], [100]]]))
    assert [buckets.relevant_within(k)[0] / k for k in (1, 10, 1000)] == pytest.approx([0.1] * 3)
    # AP of a random ranking is above the share of relevant items.
    assert 0.1 < buckets.average_precision(500, "top")[0] < 0.115
    assert [bound[0] for bound in buckets.average_precision_bounds(500, "top")] == [0, 1]
