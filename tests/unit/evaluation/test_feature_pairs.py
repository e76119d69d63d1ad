import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from sdc import hamming
from sdc.errors import SDCError
from sdc.evaluation import feature_pairs
from sdc.evaluation.collapse import HammingPairs
from sdc.evaluation.feature_pairs import FeaturePairs
from sdc.evaluation.metrics import measure


def finite(scores):
    return all(isinstance(value, int | float) and math.isfinite(value) for value in scores.values())


def pairs_of(queries, database, relevant):
    unit = [array / np.linalg.norm(array, axis=1, keepdims=True) for array in (queries, database)]
    similarities = unit[0].astype(np.float64) @ unit[1].T
    return similarities[relevant], similarities[~relevant]


def separation(queries, database, relevant, **options):
    """In blocks that do not come out even."""
    blocks = np.split(database, [7, 300]) if len(database) > 300 else [database]
    return measure(FeaturePairs(queries, blocks, len(database), relevant.__getitem__, **options))


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
    monkeypatch.setattr(feature_pairs, "QUERIES", 17)
    monkeypatch.setattr(feature_pairs, "ITEMS", 91)
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


def test_any_number_of_bins_has_its_overlap_to_the_width_of_a_fine_one(labelled):
    queries, database, relevant = labelled()
    pairs = FeaturePairs(queries, [database], 600, relevant.__getitem__)
    positive, negative = pairs_of(queries, database, relevant)
    for bins in (9, 25, 49, 97, 201):
        edges = np.round(np.linspace(-1, 1, bins + 1), 4)
        p, u = (np.histogram(each, edges)[0] / len(each) for each in (positive, negative))
        # A pair may lie on an edge.
        assert pairs.overlap(bins) == pytest.approx(np.minimum(p, u).sum(), abs=1 / len(positive))


def test_signs_as_features_have_the_overlap_of_their_codes():
    generator = np.random.default_rng(0)
    bits = generator.random((230, 16)) < 0.5
    relevant = generator.random((30, 200)) < 0.3
    distances = hamming.distances(*np.split(hamming.pack(bits), [30]))
    counts = np.stack([np.bincount(row, minlength=17) for row in distances])
    positive = np.stack([np.bincount(row[flags], minlength=17) for row, flags in zip(distances, relevant, strict=True)])
    exact = measure(HammingPairs(counts, positive))
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
    monkeypatch.setattr(feature_pairs, "QUERIES", 17)
    queries, database, relevant = labelled()
    groups = np.arange(40) % 4 - 1
    relevant[groups == 2] = False
    whole = FeaturePairs(queries, [database], 600, relevant.__getitem__, bins=(200, 17), max_pairs=pairs, groups=groups)
    # What is asked of groups changes nothing of the whole.
    assert measure(whole) == separation(queries, database, relevant, bins=(200, 17), max_pairs=pairs)
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
            measure(FeaturePairs(queries, iter(blocks), 600, levels.__getitem__, max_pairs=pairs))
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
        FeaturePairs(queries, [database], 601, np.zeros((40, 601), bool).__getitem__)
    with pytest.raises(SDCError, match="more database items than the 599"):
        FeaturePairs(queries, [database], 599, np.zeros((40, 599), bool).__getitem__)
