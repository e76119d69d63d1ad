import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from sdc import hamming
from sdc.evaluation import collapse
from sdc.evaluation.collapse import HammingPairs
from sdc.evaluation.metrics import measure


def finite(scores):
    return all(isinstance(value, int | float) and math.isfinite(value) for value in scores.values())


def separation_of(counts, relevant):
    return measure(HammingPairs(counts, relevant))


def test_worked_example():
    # K = 4: positive pairs 6 3 1 0 0 and negative pairs 1 2 4 2 1 at distances 0 to 4.
    relevant, others = np.array([[6, 3, 1, 0, 0]]), np.array([[1, 2, 4, 2, 1]])
    scores = separation_of(relevant + others, relevant)
    assert scores["hamming_overlap"] == pytest.approx(0.4)
    assert scores["hamming_auc"] == pytest.approx(0.86)
    assert scores["hamming_ks"] == pytest.approx(0.6)
    assert scores["hamming_tie_mass"] == pytest.approx(0.06 + 0.06 + 0.04)
    # Positive: 1, 1/2 and 0 with shares .6, .3 and .1: mean .75, mean square .675. Negative: symmetric, mean square .3.
    assert scores["hamming_gap"] == pytest.approx(0.75)
    assert scores["hamming_gap_sd"] == pytest.approx(0.75 / np.sqrt((0.1125 + 0.3) / 2))
    assert (scores["positive_pairs"], scores["negative_pairs"], scores["distances_in_use"]) == (10, 10, 5)
    assert scores["items_at_distance_0"] == 7
    assert scores["hamming_overlap_per_query"] == scores["hamming_overlap"]


COUNTS = st.lists(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=5, max_size=5), min_size=1, max_size=3
)


@settings(max_examples=50)
@given(COUNTS)
def test_hamming_separation_is_that_of_listed_pairs(pairs):
    table = np.array(pairs)  # (Q, K + 1, positive and negative)
    scores = separation_of(table.sum(axis=2), table[:, :, 0])
    assert finite(scores)

    def listed(rows, kind):
        return [1 - 2 * d / 4 for row in rows for d in range(5) for _ in range(row[d][kind])]

    positive, negative = listed(pairs, 0), listed(pairs, 1)
    assert (scores["positive_pairs"], scores["negative_pairs"]) == (len(positive), len(negative))
    if not (positive and negative):
        assert not {"hamming_overlap", "hamming_auc", "hamming_overlap_per_query"} & set(scores)
        return

    def overlap(first, second):
        p, u = Counter(first), Counter(second)
        return sum(min(p[s] / len(first), u[s] / len(second)) for s in set(first))

    def auc(first, second):
        return roc_auc_score([1] * len(first) + [0] * len(second), first + second)

    assert scores["hamming_overlap"] == pytest.approx(overlap(positive, negative))
    assert scores["hamming_auc"] == pytest.approx(auc(positive, negative))
    below = [[np.mean(np.array(values) <= s) for s in (-1, -0.5, 0, 0.5, 1)] for values in (positive, negative)]
    assert scores["hamming_ks"] == pytest.approx(np.abs(np.subtract(*below)).max())
    assert scores["hamming_gap"] == pytest.approx(np.mean(positive) - np.mean(negative))
    assert scores["hamming_tie_mass"] == pytest.approx(np.mean([p == u for p in positive for u in negative]))
    queries = [(listed([row], 0), listed([row], 1)) for row in pairs]
    queries = [each for each in queries if all(each)]
    assert ("hamming_auc_per_query" in scores) == bool(queries)
    if queries:
        assert scores["hamming_auc_per_query"] == pytest.approx(np.mean([auc(*each) for each in queries]))
        assert scores["hamming_overlap_per_query"] == pytest.approx(np.mean([overlap(*each) for each in queries]))


def test_collapsed_and_separated_codes():
    half = np.array([[5, 0, 0], [7, 0, 0]])
    collapsed = separation_of(2 * half, half)
    assert [collapsed[f"hamming_{name}"] for name in ("overlap", "auc", "tie_mass", "gap")] == [1, 0.5, 1, 0]
    assert "hamming_gap_sd" not in collapsed
    assert collapsed["distances_in_use"] == 1
    apart = separation_of(np.array([[5, 0, 5]]), np.array([[5, 0, 0]]))
    assert [apart[f"hamming_{name}"] for name in ("overlap", "auc", "tie_mass", "ks", "gap")] == [0, 1, 0, 1, 2]


def test_distance_to_random_codes():
    counts = np.array([[3, 0, 4, 7, 2, 1, 0, 0, 1]])
    similarities = np.repeat(1 - np.arange(9) / 4, counts[0])
    pairs = HammingPairs(counts, counts // 2)
    random = 1 - np.arange(9) / 4, stats.binom(8, 0.5).pmf(np.arange(9))
    assert pairs.w1_binomial() == pytest.approx(stats.wasserstein_distance(similarities, random[0], None, random[1]))


@settings(max_examples=50)
@given(COUNTS, st.data())
def test_overlaps_of_groups_are_those_of_their_queries_alone(pairs, data):
    table = np.array(pairs)
    counts, relevant = table.sum(axis=2), table[:, :, 0]
    groups = np.array(data.draw(st.lists(st.integers(-1, 3), min_size=len(table), max_size=len(table))))
    overlaps = HammingPairs(counts, relevant).overlaps(groups)
    assert len(overlaps) == 1 + groups.max()
    for group, value in enumerate(overlaps):
        mine = groups == group
        alone = separation_of(counts[mine], relevant[mine]).get("hamming_overlap", np.nan)
        assert value == pytest.approx(alone, nan_ok=True)


def test_random_codes_have_binomial_distances():
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 256, (1100, 4), np.uint8)
    counts = np.stack([np.bincount(row, minlength=33) for row in hamming.distances(codes[:100], codes[100:])])
    pairs = HammingPairs(counts, counts // 2)
    assert separation_of(counts, counts // 2)["hamming_w1_binomial"] == pairs.w1_binomial()
    assert pairs.w1_binomial() < 0.01


def test_two_histograms_by_hand():
    # Shares .5 .5 0 and 0 .5 .5 at similarities 1, 0 and -1.
    apart = collapse.separation(np.array([2, 2, 0]), np.array([0, 1, 1]), np.array([1.0, 0, -1]))
    assert (apart.overlap, apart.auc, apart.tie_mass, apart.ks, apart.gap) == (0.5, 0.875, 0.25, 0.5, 1)
    assert apart.gap_sd == pytest.approx(1 / 0.5)


def test_one_kind_of_pair_or_no_spread():
    one, none = np.array([3, 0]), np.array([0, 0])
    assert collapse.separation(one, none, np.array([1.0, -1])) is None
    assert collapse.separation(none, one, np.array([1.0, -1])) is None
    assert collapse.separation(one, one, np.array([1.0, -1])).gap_sd is None


def test_histograms_are_whole_numbers():
    columns = collapse.histogram(np.array([1.6]), np.array([2.0]), np.array([0.5]))
    assert columns == {"similarity": [0.5], "positive_pairs": [2], "negative_pairs": [2]}
    assert list(columns) == list(collapse.NO_PAIRS)
