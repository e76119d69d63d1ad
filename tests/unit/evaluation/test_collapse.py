import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from sdc import calibration, hamming
from sdc.errors import SDCError
from sdc.evaluation import collapse


def finite(scores):
    return all(isinstance(value, int | float) and math.isfinite(value) for value in scores.values())


# Hamming space


def test_worked_example():
    # K = 4: positive pairs 6 3 1 0 0 and negative pairs 1 2 4 2 1 at distances 0 to 4.
    relevant, others = np.array([[6, 3, 1, 0, 0]]), np.array([[1, 2, 4, 2, 1]])
    scores = collapse.hamming_separation(relevant + others, relevant)
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
    scores = collapse.hamming_separation(table.sum(axis=2), table[:, :, 0])
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
    collapsed = collapse.hamming_separation(2 * half, half)
    assert [collapsed[f"hamming_{name}"] for name in ("overlap", "auc", "tie_mass", "gap")] == [1, 0.5, 1, 0]
    assert "hamming_gap_sd" not in collapsed
    assert collapsed["distances_in_use"] == 1
    apart = collapse.hamming_separation(np.array([[5, 0, 5]]), np.array([[5, 0, 0]]))
    assert [apart[f"hamming_{name}"] for name in ("overlap", "auc", "tie_mass", "ks", "gap")] == [0, 1, 0, 1, 2]


def test_distance_to_the_calibration_law():
    counts = np.array([[3, 0, 4, 7, 2, 1, 0, 0, 1]])
    similarities = np.repeat(1 - np.arange(9) / 4, counts[0])
    scores = collapse.hamming_separation(counts, counts // 2, law="beta(5,5)")
    law = stats.beta(5, 5, loc=-1, scale=2).rvs(200_000, random_state=0)
    assert scores["hamming_w1"] == pytest.approx(stats.wasserstein_distance(similarities, law), abs=2e-3)
    random = 1 - np.arange(9) / 4, stats.binom(8, 0.5).pmf(np.arange(9))
    assert scores["hamming_w1_binomial"] == pytest.approx(
        stats.wasserstein_distance(similarities, random[0], None, random[1])
    )
    uniform = collapse.hamming_separation(counts, counts // 2, law="uniform")["hamming_w1"]
    assert uniform == pytest.approx(
        stats.wasserstein_distance(similarities, calibration.quantiles("uniform", 20_000, 8)), abs=1e-3
    )


@settings(max_examples=50)
@given(COUNTS, st.data())
def test_overlaps_of_groups_are_those_of_their_queries_alone(pairs, data):
    table = np.array(pairs)
    counts, relevant = table.sum(axis=2), table[:, :, 0]
    groups = np.array(data.draw(st.lists(st.integers(-1, 3), min_size=len(table), max_size=len(table))))
    overlaps = collapse.hamming_overlaps(counts, relevant, groups)
    assert len(overlaps) == 1 + groups.max()
    for group, found in enumerate(overlaps):
        mine = groups == group
        alone = collapse.hamming_separation(counts[mine], relevant[mine]).get("hamming_overlap", np.nan)
        assert found == pytest.approx(alone, nan_ok=True)


def test_random_codes_have_the_binomial_law():
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 256, (1100, 4), np.uint8)
    counts = np.stack([np.bincount(row, minlength=33) for row in hamming.distances(codes[:100], codes[100:])])
    scores = collapse.hamming_separation(counts, counts // 2, law="beta(5,5)")
    assert scores["hamming_w1_binomial"] < 0.01 < scores["hamming_w1"]


# Feature space


def pairs_of(queries, database, relevant):
    unit = [array / np.linalg.norm(array, axis=1, keepdims=True) for array in (queries, database)]
    similarities = unit[0].astype(np.float64) @ unit[1].T
    return similarities[relevant], similarities[~relevant]


def separation(queries, database, relevant, **options):
    """In blocks that do not come out even."""
    blocks = np.split(database, [7, 300]) if len(database) > 300 else [database]
    return collapse.FeaturePairs(queries, blocks, len(database), relevant.__getitem__, **options).separation()


@pytest.fixture
def labelled():
    def make(queries=40, database=600, dim=6, seed=0):
        generator = np.random.default_rng(seed)
        centres = generator.standard_normal((5, dim))
        labels = np.sort(generator.integers(0, 5, queries + database))
        features = (centres[labels] + generator.standard_normal((len(labels), dim))).astype(np.float32)
        chosen = np.zeros(len(labels), bool)
        chosen[generator.permutation(len(labels))[:queries]] = True
        return features[chosen], features[~chosen], labels[chosen][:, None] == labels[~chosen]

    return make


def test_feature_separation_is_that_of_all_pairs(labelled, monkeypatch):
    queries, database, relevant = labelled()
    positive, negative = pairs_of(queries, database, relevant)
    # Blocks that do not come out even.
    monkeypatch.setattr(collapse, "_QUERIES", 17)
    monkeypatch.setattr(collapse, "_ITEMS", 91)
    scores = separation(queries, database, relevant, bins=(200, 17))
    assert finite(scores)
    for bins in (200, 17):
        p, u = (np.histogram(each, bins, (-1, 1))[0] / len(each) for each in (positive, negative))
        assert scores[f"feature_overlap_{bins}_bins"] == pytest.approx(np.minimum(p, u).sum(), abs=2e-4)
    truth = np.r_[np.ones(len(positive)), np.zeros(len(negative))]
    assert scores["feature_auc"] == pytest.approx(roc_auc_score(truth, np.r_[positive, negative]), abs=1e-5)
    assert scores["feature_ks"] == pytest.approx(stats.ks_2samp(positive, negative, method="asymp").statistic, abs=1e-3)
    assert scores["feature_gap"] == pytest.approx(positive.mean() - negative.mean(), abs=1e-4)
    deviation = np.sqrt((positive.var() + negative.var()) / 2)
    assert scores["feature_gap_sd"] == pytest.approx(scores["feature_gap"] / deviation, rel=1e-4)
    assert (scores["feature_pairs"], scores["feature_pairs_share"]) == (24_000, 1)
    assert not [name for name in scores if name.endswith("_se")]


def test_signs_as_features_have_the_overlap_of_their_codes():
    generator = np.random.default_rng(0)
    bits = generator.random((230, 16)) < 0.5
    relevant = generator.random((30, 200)) < 0.3
    distances = hamming.distances(*np.split(hamming.pack(bits), [30]))
    counts = np.stack([np.bincount(row, minlength=17) for row in distances])
    positive = np.stack([np.bincount(row[flags], minlength=17) for row, flags in zip(distances, relevant, strict=True)])
    exact = collapse.hamming_separation(counts, positive)
    signs = np.where(bits, 1.0, -1.0)
    # 17 bins of width 2/17 hold one of the similarities -1, -7/8, … each.
    scores = separation(signs[:30], signs[30:], relevant, bins=(17,))
    assert scores["feature_overlap_17_bins"] == pytest.approx(exact["hamming_overlap"])
    assert scores["feature_auc"] == pytest.approx(exact["hamming_auc"])


def test_a_sample_is_near_and_knows_how_near(labelled):
    queries, database, relevant = labelled(database=2000)
    exact = separation(queries, database, relevant)
    names = ["feature_overlap_200_bins", "feature_auc"]
    off = {name: [] for name in names}
    for seed in range(30):
        scores = separation(queries, database, relevant, max_pairs=40 * 1500, seed=seed)
        assert (scores["feature_pairs"], scores["feature_pairs_share"]) == (60_000, 0.75)
        for name in names:
            off[name].append((scores[name] - exact[name], scores[f"{name}_se"]))
    for name in names:
        errors, claimed = np.array(off[name]).T
        assert np.abs(errors.mean()) < 2.5 * claimed.mean()
        assert errors.std() == pytest.approx(claimed.mean(), rel=0.4), name


def test_sample_of_a_seed(labelled):
    queries, database, relevant = labelled()
    first, again, other = (separation(queries, database, relevant, max_pairs=4000, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_few_relevant_items_are_all_looked_at(labelled):
    queries, database, _ = labelled(queries=20, database=4000)
    relevant = np.zeros((20, 4000), bool)
    relevant[np.arange(20), 7 * np.arange(20)] = True  # one each
    database[7 * np.arange(20)] = queries + 0.1
    exact = separation(queries, database, relevant)
    sampled = separation(queries, database, relevant, max_pairs=20 * 1000)
    assert sampled["feature_pairs"] == 20_000
    for name in ("feature_overlap_200_bins", "feature_auc"):
        assert sampled[name] == pytest.approx(exact[name], abs=5 * sampled[f"{name}_se"])
        # All positive pairs are known, so little is unsure.
        assert 0 < sampled[f"{name}_se"] < 0.02


def test_weights_of_what_is_looked_at_anyway():
    # Two items are relevant; they are near both queries, and all others are far from both.
    queries, database = np.array([[1.0, 0], [1, 0]]), np.tile([[-1.0, 0]], (1000, 1))
    database[:2] = [1, 0]
    relevant = np.zeros((2, 1000), bool)
    relevant[0, 0] = relevant[1, 1] = True
    scores = separation(queries, database, relevant, max_pairs=200)
    # 2 of the 1,998 negative pairs are near, though 2 of the 198 that were looked at.
    assert scores["feature_pairs"] == 200
    assert scores["feature_overlap_200_bins"] == pytest.approx(2 / 1998)
    assert scores["feature_overlap_200_bins_se"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("pairs", [10**8, 8000])
def test_feature_overlaps_of_groups_are_those_of_their_queries_alone(labelled, monkeypatch, pairs):
    monkeypatch.setattr(collapse, "_QUERIES", 17)
    queries, database, relevant = labelled()
    groups = np.arange(40) % 4 - 1
    relevant[groups == 2] = False
    whole = collapse.FeaturePairs(
        queries, [database], 600, relevant.__getitem__, bins=(200, 17), max_pairs=pairs, groups=groups
    )
    # What is asked of groups changes nothing of the whole.
    assert whole.separation() == separation(queries, database, relevant, bins=(200, 17), max_pairs=pairs)
    for bins in (200, 17):
        overlaps = whole.overlaps(bins)
        assert len(overlaps) == 3
        assert np.isnan(overlaps[2])
        for group in (0, 1):
            mine = groups == group
            alone = separation(queries[mine], database, relevant[mine], bins=(bins,))[f"feature_overlap_{bins}_bins"]
            # The sample, drawn for all queries, is a third of the items.
            assert overlaps[group] == pytest.approx(alone, abs=1e-12 if pairs == 10**8 else 0.15)


def test_features_without_pairs_of_both_kinds(labelled):
    queries, database, _ = labelled()
    nothing = np.zeros((40, 600), bool)
    expected = {"feature_pairs": 24_000, "feature_pairs_share": 1}
    assert separation(queries, database, nothing) == expected
    assert separation(queries, database, ~nothing) == expected
    assert separation(queries, database[:0], nothing[:, :0]) == {"feature_pairs": 0}


def test_levels_of_relevance_and_blocks_of_any_length(labelled):
    queries, database, relevant = labelled()
    levels = relevant * np.uint8(3)
    for pairs in (10**8, 5000):
        first, second = (
            collapse.FeaturePairs(queries, iter(blocks), 600, levels.__getitem__, max_pairs=pairs).separation()
            for blocks in ([database], np.split(database, [1, 1, 500]))
        )
        assert first == pytest.approx(second)
        assert first == pytest.approx(separation(queries, database, relevant, max_pairs=pairs))


def test_half_precision_is_read_as_it_is(labelled):
    queries, database, relevant = labelled()
    halves = queries.astype(np.float16), database.astype(np.float16)
    assert separation(*halves, relevant) == separation(*(half.astype(np.float32) for half in halves), relevant)


def test_zero_features_have_no_angle():
    scores = separation(np.zeros((1, 2)), np.eye(2), np.eye(2, dtype=bool))
    assert scores["feature_overlap_200_bins"] == 1


@pytest.mark.parametrize(("split", "item"), [("query", 3), ("database", 42)])
def test_features_that_are_not_finite(labelled, split, item):
    queries, database, relevant = labelled()
    {"query": queries, "database": database}[split][item, 2] = np.nan
    with pytest.raises(SDCError, match=f"{split} item {item} holds NaN or infinity"):
        separation(queries, database, relevant)


def test_features_that_do_not_fit(labelled):
    queries, database, relevant = labelled()
    with pytest.raises(SDCError, match="queries have 5 dimensions, those of the database 6"):
        separation(queries[:, :5], database, relevant)
    with pytest.raises(SDCError, match="features of 600 database items, but ground truth for 601"):
        collapse.FeaturePairs(queries, [database], 601, np.zeros((40, 601), bool).__getitem__).separation()
    with pytest.raises(SDCError, match="more database items than the 599"):
        collapse.FeaturePairs(queries, [database], 599, np.zeros((40, 599), bool).__getitem__).separation()


# Bits and codes


@given(st.integers(1, 12), st.integers(1, 11), st.integers(0, 2**32 - 1))
def test_bit_health_is_that_of_the_definitions(n, width, seed):
    bits = np.random.default_rng(seed).random((n, width)) < np.random.default_rng(seed + 1).random(width)
    scores = collapse.bit_health(np.packbits(bits, axis=1), bits=width)
    assert finite(scores)
    shares = bits.mean(axis=0)
    assert scores["bit_imbalance"] == pytest.approx(np.abs(2 * shares - 1).mean())
    assert (scores["bit_share_min"], scores["bit_share_max"]) == pytest.approx((shares.min(), shares.max()))
    assert scores["bit_entropy"] == pytest.approx(np.mean([stats.entropy([p, 1 - p], base=2) for p in shares]))
    live = bits[:, (shares > 0) & (shares < 1)]
    assert scores["dead_bits"] == width - live.shape[1]
    signs = np.where(bits, 1.0, -1.0)
    assert scores["bit_gram_deviation"] == pytest.approx(
        np.linalg.norm(signs.T @ signs / n - np.eye(width)) / width, abs=1e-12
    )
    if live.shape[1] < 2:
        assert "bit_correlation_mean" not in scores
        return
    correlations = [abs(np.corrcoef(live[:, i], live[:, j])[0, 1]) for i in range(live.shape[1]) for j in range(i)]
    assert scores["bit_correlation_mean"] == pytest.approx(np.mean(correlations))
    assert scores["bit_correlation_max"] == pytest.approx(max(correlations))
    assert scores["bit_correlation_max"] <= 1


@given(st.lists(st.lists(st.sampled_from([0, 1, 255]), min_size=2, max_size=2), min_size=1, max_size=12))
def test_code_health_is_that_of_the_definitions(rows):
    scores = collapse.code_health(np.array(rows, np.uint8))
    assert finite(scores)
    buckets, n = Counter(map(tuple, rows)), len(rows)
    entropy = -sum(count / n * math.log2(count / n) for count in buckets.values())
    assert (scores["unique_codes"], scores["largest_bucket"]) == (len(buckets), max(buckets.values()))
    assert scores["unique_share"] == pytest.approx(len(buckets) / n)
    assert scores["space_share"] == pytest.approx(len(buckets) / 65_536)
    assert scores["largest_bucket_share"] == pytest.approx(max(buckets.values()) / n)
    assert scores["collision_probability"] == pytest.approx(np.mean([a == b for a in rows for b in rows]))
    assert scores["code_entropy"] == pytest.approx(entropy, abs=1e-12)
    assert scores["code_entropy_max"] == pytest.approx(math.log2(n))
    assert scores["code_entropy_miller_madow"] == pytest.approx(entropy + (len(buckets) - 1) / (2 * n * math.log(2)))
    assert ("code_entropy_ratio" in scores) == (n > 1)
    if n > 1:
        assert scores["code_entropy_ratio"] == pytest.approx(entropy / math.log2(n), abs=1e-12)


def test_all_codes_once():
    codes = np.arange(256, dtype=np.uint8)[:, None]
    codes = np.concatenate([codes, codes])
    scores = collapse.code_health(codes)
    assert (scores["code_entropy"], scores["code_entropy_max"], scores["space_share"]) == (8, 8, 1)
    bits = collapse.bit_health(codes)
    assert (bits["bit_imbalance"], bits["bit_correlation_max"], bits["bit_gram_deviation"]) == (0, 0, 0)
    assert bits["bit_entropy"] == 1


def test_random_codes_fill_as_much_space_as_chance():
    codes = np.random.default_rng(0).integers(0, 256, (59_000, 2), np.uint8)
    scores = collapse.code_health(codes)
    # 2^16 (1 - (1 - 2^-16)^59000) = 38,898, give or take 100.
    assert scores["unique_codes"] == pytest.approx(38_898, abs=400)


def test_codes_in_blocks(monkeypatch):
    codes = np.random.default_rng(0).integers(0, 256, (20, 2), np.uint8)
    whole = collapse.bit_health(codes)
    monkeypatch.setattr(collapse, "_ROWS", 7)
    assert collapse.bit_health(codes) == whole


def test_one_bit_twice_and_one_dead():
    bits = np.zeros((4, 8), bool)
    bits[:2, 0] = bits[:2, 1] = True  # equal
    bits[2:, 2] = True  # opposite
    scores = collapse.bit_health(hamming.pack(bits))
    assert (scores["bit_correlation_mean"], scores["bit_correlation_max"], scores["dead_bits"]) == (1, 1, 5)


def test_no_codes():
    assert collapse.bit_health(np.zeros((0, 2), np.uint8)) == collapse.code_health(np.zeros((0, 2), np.uint8)) == {}
