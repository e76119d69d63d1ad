import time

import numpy as np
import pytest
import scipy.stats

from sdc.errors import SDCError
from sdc.evaluation import significance


def scores(queries, seed=0):
    return np.random.default_rng(seed).beta(2, 3, queries)


def test_resampled_means_are_means_of_drawn_queries():
    # Of two queries, a resample holds the second 0, 1 or 2 times: a quarter, a half, a quarter of the time.
    means = significance.resampled_means(np.array([[0.0, 5.0], [1.0, 7.0]]), 4000)
    assert means[:, 1] == pytest.approx(5 + 2 * means[:, 0])  # the same draws
    values, counts = np.unique(means[:, 0], return_counts=True)
    assert values.tolist() == [0, 0.5, 1]
    assert counts / 4000 == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_interval_is_scipys():
    ap = scores(300)
    found = significance.intervals({"mAP": ap})
    expected = scipy.stats.bootstrap(
        (ap,), np.mean, method="percentile", n_resamples=9999, rng=np.random.default_rng(1)
    )
    low, high = expected.confidence_interval
    # Two draws of 10,000: the ends of the interval are sure to about 0.03 standard errors each.
    within = 0.15 * expected.standard_error
    assert found["mAP_low"] == pytest.approx(low, abs=within)
    assert found["mAP_high"] == pytest.approx(high, abs=within)
    assert found["mAP_low"] < ap.mean() < found["mAP_high"]


def test_intervals_cover_the_true_mean_as_often_as_they_say():
    truth = 2 / 5
    covered = 0
    for trial in range(400):
        found = significance.intervals({"mAP": scores(120, trial)}, resamples=400, seed=trial)
        covered += found["mAP_low"] <= truth <= found["mAP_high"]
    # 95 % of 400 give or take three standard errors, and a percentile interval is a little short.
    assert 0.91 <= covered / 400 <= 0.985


def test_level_of_the_interval():
    wide, narrow = (significance.intervals({"x": scores(200)}, level=level) for level in (0.99, 0.5))
    assert wide["x_low"] < narrow["x_low"] < narrow["x_high"] < wide["x_high"]


def test_same_seed_same_interval_whatever_stands_beside_it():
    ap, other = scores(100), scores(100, 1)
    first = significance.intervals({"mAP@10": ap, "mAP@100": other}, seed=3)
    assert first == significance.intervals({"mAP@10": ap, "mAP@100": other}, seed=3)
    assert significance.intervals({"mAP@10": ap}, seed=3)["mAP@10_low"] == pytest.approx(first["mAP@10_low"])
    assert first != significance.intervals({"mAP@10": ap, "mAP@100": other}, seed=4)
    assert significance.intervals({}) == {}


def test_methods_that_differ():
    rows = np.arange(500)
    ap = scores(500)
    noise = np.random.default_rng(2).normal(0, 0.02, 500)
    found = significance.compare(ap, ap + 0.01 + noise, rows, rows)
    assert found["difference"] == pytest.approx(0.01 + noise.mean())
    assert 0 < found["difference_low"] < found["difference"] < found["difference_high"]
    assert found["p_value"] == pytest.approx(2 / 10_001)
    # The same gain drowned in the spread of the queries if the pairing is lost.
    unpaired = significance.compare(ap, (ap + 0.01 + noise)[::-1], rows, rows)
    assert unpaired["p_value"] > 0.05
    assert unpaired["difference_low"] < 0 < unpaired["difference_high"]


def test_swapping_the_methods_turns_the_difference_round():
    ap, other, rows = scores(80), scores(80, 1), np.arange(80)
    there, back = significance.compare(ap, other, rows, rows), significance.compare(other, ap, rows, rows)
    assert back["difference"] == pytest.approx(-there["difference"])
    assert back["difference_low"] == pytest.approx(-there["difference_high"])
    assert back["p_value"] == pytest.approx(there["p_value"])


def test_identical_methods_do_not_differ():
    ap, rows = scores(50), np.arange(50)
    assert significance.compare(ap, ap, rows, rows) == {
        "difference": 0,
        "difference_low": 0,
        "difference_high": 0,
        "p_value": 1,
    }


def test_p_values_of_equally_good_methods_are_spread_evenly():
    rows = np.arange(60)
    values = []
    for trial in range(200):
        first, second = scores(60, trial), scores(60, 10_000 + trial)
        values.append(significance.compare(first, second, rows, rows, resamples=300, seed=trial)["p_value"])
    assert scipy.stats.kstest(values, "uniform").pvalue > 0.001
    assert np.mean(np.array(values) < 0.05) < 0.12


@pytest.mark.parametrize(
    ("second", "rows", "message"),
    [
        ([0.1, 0.2], [3, 5], "scored on different queries"),
        ([0.1, 0.2], [4, 3], "scored on different queries"),
        ([0.1], [3], r"different queries \(2 and 1\)"),
        ([0.1, 0.2], [3], "differ in number"),
        ([0.1, np.nan], [3, 4], "the second method: the score of query 1 is not a number"),
        ([], [], "no query has a score"),
    ],
)
def test_unlike_queries_are_refused(second, rows, message):
    with pytest.raises(SDCError, match=message):
        significance.compare(np.array([0.5, 0.6]), np.array(second), np.array([3, 4]), np.array(rows))


def test_every_score_has_a_query():
    with pytest.raises(SDCError, match="differ in number"):
        significance.compare(np.zeros(3), np.zeros(2), np.arange(2), np.arange(2))


def test_scores_of_unlike_lengths_are_refused():
    with pytest.raises(SDCError, match="mAP@10 3, mAP@100 2"):
        significance.intervals({"mAP@10": np.zeros(3), "mAP@100": np.zeros(2)})
    with pytest.raises(SDCError, match="mAP: the score of query 0"):
        significance.intervals({"mAP": np.array([np.inf, 1])})


def test_ten_thousand_resamples_are_quick():
    ap = scores(1000)
    significance.intervals({"x": ap}, resamples=10)
    began = time.process_time()
    significance.intervals({"x": ap})
    assert time.process_time() - began < 1


def test_p_values_of_many_are_those_of_pairs():
    generator = np.random.default_rng(3)
    scores = generator.random((60, 4)) + np.array([0.0, 0.02, 0.1, 0.3])
    found = significance.p_values(scores, 1, resamples=500)
    rows = np.arange(60)
    pairs = [significance.compare(scores[:, 1], scores[:, i], rows, rows, resamples=500)["p_value"] for i in range(4)]
    assert found.tolist() == pairs
    assert found[1] == 1
