import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdc.errors import SDCError
from sdc.evaluation import ranking, ties
from sdc.evaluation.ranking import Hamming
from sdc.evaluation.relevance import ListedRelevance, SharedLabels
from sdc.evaluation.scores import evaluate, unlabelled


def by_definition(order, levels, cutoff, k):
    """AP@R with the top denominator, P@K, hit@K and recall@K of an order, on lists."""
    hits, total = 0, 0.0
    for rank, item in enumerate(order[:cutoff], start=1):
        if levels[item]:
            hits += 1
            total += hits / rank
    top = [levels[item] > 0 for item in order[:k]]
    return total / hits if hits else 0.0, sum(top) / k, float(any(top)), sum(top) / max(np.count_nonzero(levels), 1)


@st.composite
def searches(draw):
    """Codes of queries and database with many ties, and labels: one each, or any number."""
    queries, database = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    width = draw(st.sampled_from([1, 2, 9, 25]))
    code = st.lists(st.sampled_from([0, 1, 255]), min_size=width, max_size=width)
    codes = np.array(draw(st.lists(code, min_size=queries + database, max_size=queries + database)), np.uint8)
    multi = draw(st.booleans())
    classes = draw(st.sampled_from([3, 70, 300])) if multi else 3
    label = st.lists(
        st.sampled_from([0, 1, classes - 1]), min_size=0 if multi else 1, max_size=3 if multi else 1, unique=True
    )
    labels = draw(st.lists(label, min_size=queries + database, max_size=queries + database))
    return codes[:queries], codes[queries:], labels[:queries], labels[queries:]


def distances(queries, database):
    return np.array(
        [[sum(bin(a ^ b).count("1") for a, b in zip(q, d, strict=True)) for d in database] for q in queries]
    )


@given(searches(), st.integers(1, 15), st.integers(1, 12))
def test_metrics_are_the_brute_force_ones(search, cutoff, k):
    queries, database, query_labels, database_labels = search
    size = len(database)
    k = min(k, size)
    levels = [[len(set(q) & set(d)) for d in database_labels] for q in query_labels]
    far = distances(queries.tolist(), database.tolist())
    found = Hamming(queries, database), SharedLabels(query_labels, database_labels)
    answered = [query for query, row in enumerate(levels) if any(row)]
    if not answered:
        with pytest.raises(SDCError, match="no query has a relevant database item"):
            evaluate(*found, [cutoff], [k])
        return
    orders = [sorted(range(size), key=lambda item: (far[query][item], item)) for query in range(len(queries))]
    expected = np.mean([by_definition(orders[q], levels[q], cutoff, k) for q in answered], axis=0)
    scores = evaluate(*found, [cutoff, None], [k], rule="stable").metrics()
    names = [f"mAP@{min(cutoff, size)}", f"P@{k}", f"hit_rate@{k}", f"recall@{k}"]
    assert [scores[name] for name in names] == pytest.approx(expected.tolist())
    assert scores["queries_without_relevant"] == len(queries) - len(answered)
    assert (scores["map_at"], scores["ties"]) == (min(cutoff, size), "database order")
    everything = np.mean([by_definition(orders[q], levels[q], size, k)[0] for q in answered])
    assert scores[f"mAP@{size}/stable"] == pytest.approx(everything)

    # The rest comes from the counts, which are tested where they are used.
    counts = np.concatenate([block.counts for block in found[0].blocks(found[1], 0)])
    assert counts.shape == (len(queries), found[1].depth, 8 * queries.shape[1] + 1)
    for query in range(len(queries)):
        for level in range(found[1].depth):
            at = [far[query][item] for item in range(size) if levels[query][item] == level]
            assert counts[query, level].tolist() == np.bincount(at, minlength=counts.shape[2]).tolist()
    by_counts = ties.Buckets(counts[answered])
    scores = evaluate(*found, [cutoff], [k]).metrics()
    name = names[0]
    for denominator in ties.DENOMINATORS:
        value = by_counts.average_precision(cutoff, denominator).mean()
        assert scores[f"{name}/{denominator}"] == pytest.approx(value)
    assert scores[name] == scores[f"{name}/expected"] == scores[f"{name}/top"]
    worst, best = by_counts.average_precision_bounds(cutoff, "top")
    assert [scores[f"{name}/pessimistic"], scores[f"{name}/optimistic"]] == pytest.approx([worst.mean(), best.mean()])
    assert scores[f"P@{k}"] == pytest.approx(by_counts.relevant_within(k).mean() / k)
    for radius in (0, 2):
        inside = far <= radius
        precision = [np.mean(np.array(levels[q])[inside[q]] > 0) if inside[q].any() else 0 for q in answered]
        assert scores[f"precision@radius{radius}"] == pytest.approx(np.mean(precision))
        assert scores[f"empty_balls@radius{radius}"] == pytest.approx(np.mean(~inside[answered].any(axis=1)))
        assert scores[f"ball_size@radius{radius}"] == pytest.approx(inside[answered].sum(axis=1).mean())
    assert scores[f"recall@radius{8 * queries.shape[1]}"] == 1


@given(searches(), st.randoms(use_true_random=False))
def test_what_must_not_matter_does_not(search, random):
    queries, database, query_labels, database_labels = search
    relevance = SharedLabels(query_labels, database_labels)
    if not any(relevance.levels(query).any() for query in range(len(queries))):
        return
    plain = evaluate(Hamming(queries, database), relevance, [5], [3]).metrics()
    mask = np.array([random.randrange(256) for _ in range(queries.shape[1])], np.uint8)
    masked = evaluate(Hamming(queries ^ mask, database ^ mask), relevance, [5], [3]).metrics()
    assert masked == plain
    bits = np.array(random.sample(range(8 * queries.shape[1]), 8 * queries.shape[1]))
    turned = [np.packbits(np.unpackbits(codes, axis=1)[:, bits], axis=1) for codes in (queries, database)]
    assert evaluate(Hamming(*turned), relevance, [5], [3]).metrics() == plain
    order = np.array(random.sample(range(len(database)), len(database)))
    shuffled = SharedLabels(query_labels, [database_labels[item] for item in order])
    moved = evaluate(Hamming(queries, database[order]), shuffled, [5], [3]).metrics()
    for name, value in plain.items():
        if not name.endswith("/stable"):
            assert moved[name] == value, name
    # With every item three times over, three times as far down is as good.
    thrice = SharedLabels(query_labels, list(database_labels) * 3)
    k = min(3, len(database))
    scores = evaluate(Hamming(queries, np.concatenate([database] * 3)), thrice, [None], [3 * k]).metrics()
    once = evaluate(Hamming(queries, database), relevance, [None], [k]).metrics()
    for name in (f"P@{k}", f"recall@{k}"):
        assert scores[name.replace(f"@{k}", f"@{3 * k}")] == pytest.approx(once[name])
    assert scores["precision@radius1"] == pytest.approx(once["precision@radius1"])


def test_database_order_matters_only_to_the_stable_rule():
    # Collapsed codes and a database sorted by class: the first class is flattered, the mean is the chance.
    labels = SharedLabels([(0,)], [(0,)] * 50 + [(1,)] * 50)
    scores = evaluate(Hamming(np.zeros((1, 2), np.uint8), np.zeros((100, 2), np.uint8)), labels, [10], [10]).metrics()
    assert scores["mAP@10/stable"] == 1
    assert scores["P@10"] == pytest.approx(0.5)
    assert (scores["mAP@10/pessimistic"], scores["mAP@10/optimistic"]) == (0, 1)


def test_graded_gain_needs_several_labels():
    codes = np.zeros((1, 1), np.uint8), np.array([[1], [0], [3]], np.uint8)
    # Nearest first: one shared label, two, none; the best is 2 1 0.
    scores = evaluate(Hamming(*codes), SharedLabels([(0, 1)], [(0, 1), (0,), (5,)]), [3], [2]).metrics()
    third = 1 / np.log2(3)
    assert scores["NDCG@2"] == pytest.approx((1 + 2 * third) / (2 + third))
    assert scores["NDCG_exponential@2"] == pytest.approx((1 + 3 * third) / (3 + third))
    assert "NDCG_exponential@2" not in evaluate(Hamming(*codes), SharedLabels([(0,)], [(0,), (0,), (5,)])).metrics()


def test_lists_are_divided_by_what_could_be_found():
    codes = np.zeros((1, 1), np.uint8), np.array([[0], [1], [3], [7]], np.uint8)
    listed = ListedRelevance([{"relevant": np.array([0, 2, 3])}], 4)
    scores = evaluate(Hamming(*codes), listed, [2], [1]).metrics()
    assert scores["mAP@2"] == pytest.approx(1 / 2)
    assert scores["mAP@2/total"] == pytest.approx(1 / 3)
    assert scores["denominator"] == "R or the number of relevant items, whichever is less"
    official = evaluate(Hamming(*codes), listed, [2], [1], convention="official").metrics()
    assert official["mAP@2"] == pytest.approx(1 / 3)
    assert official["convention"] == "official"


def test_lists_of_the_revisited_benchmark_have_its_metrics():
    # Ranking P J N P J P, a query each with junk that is hard, and that is not.
    codes = np.zeros((2, 1), np.uint8), np.array([[0], [1], [3], [7], [15], [31]], np.uint8)
    lists = {"easy": np.array([], int), "hard": np.array([0, 3, 5]), "junk": np.array([1, 4])}
    listed = ListedRelevance([lists, {**lists, "hard": np.array([], int), "easy": np.array([2])}], 6)
    scores = evaluate(Hamming(*codes), listed).metrics()
    assert scores["mAP_hard"] == scores["mAP@6"] == scores["mAP@6/stable"] == pytest.approx(0.76389, abs=1e-5)
    assert scores["mP@5_hard"] == 0.75
    assert scores["mAP_easy"] == pytest.approx((0 + 1 / 2) / 2)
    assert (scores["queries"], scores["queries_without_relevant"]) == (2, 1)


def test_queries_without_anything_relevant():
    codes = np.zeros((3, 1), np.uint8), np.array([[0], [1]], np.uint8)
    labels = SharedLabels([(0,), (1,), (7,)], [(0,), (1,)])
    scores = evaluate(Hamming(*codes), labels, [1], [1]).metrics()
    assert (scores["mAP@1"], scores["queries_scored"], scores["queries_without_relevant"]) == (0.5, 2, 1)
    official = evaluate(Hamming(*codes), labels, [1], [1], convention="official").metrics()
    assert (official["mAP@1"], official["queries_scored"]) == (pytest.approx(1 / 3), 3)
    assert official["denominator"].endswith("; queries left out as in the official code")


def test_official_code_drops_queries_with_several_labels_that_find_nothing():
    # One label in common, at rank 1, at rank 2, and nowhere.
    codes = np.zeros((3, 1), np.uint8), np.array([[0], [1]], np.uint8)
    labels = SharedLabels([(0, 5), (1,), (7,)], [(0,), (1,)])
    assert evaluate(Hamming(*codes), labels, [1], [1]).metrics()["mAP@1"] == 0.5
    dropped = evaluate(Hamming(*codes), labels, [1], [1], convention="official").metrics()
    assert (dropped["mAP@1"], dropped["queries_scored"]) == (1, 1)
    # The second comes back when another, larger R is asked for in the same call.
    both = evaluate(Hamming(*codes), labels, [1, 2], [1], convention="official").metrics()
    assert (both["mAP@1"], both["queries_scored"]) == (0.5, 2)
    # With ties, database order decides who is dropped.
    tied = Hamming(codes[0], np.zeros((2, 1), np.uint8))
    scores = evaluate(tied, labels, [1], [1], convention="official").metrics()
    assert (scores["mAP@1/expected"], scores["mAP@1/stable"], scores["queries_scored"]) == (0.5, 1, 1)


def test_blocks_of_queries_are_in_order(monkeypatch):
    generator = np.random.default_rng(0)
    codes, labels = generator.integers(0, 256, (300, 4), np.uint8), generator.integers(0, 5, (300, 1)).tolist()
    search = Hamming(codes[:200], codes[200:]), SharedLabels(labels[:200], labels[200:])
    one = evaluate(*search).per_query
    monkeypatch.setattr(ranking, "BLOCK_QUERIES", 7)
    many = evaluate(*search).per_query
    for name, values in one.items():
        assert many[name] == pytest.approx(values, abs=1e-12)


def test_scores_keep_what_other_measures_need():
    codes = np.array([[0], [1], [3]], np.uint8)
    scores = evaluate(Hamming(codes[:1], codes), SharedLabels([(0,)], [(0,), (0,), (1,)]), [2])
    assert scores.pairs.counts.tolist() == [[1, 1, 1, 0, 0, 0, 0, 0, 0]]
    assert scores.pairs.relevant.tolist() == [[1, 1, 0, 0, 0, 0, 0, 0, 0]]
    assert scores.mean == scores.per_query["mAP@2"].mean() == 1


def test_cutoffs_are_capped_at_the_database():
    codes = np.zeros((3, 1), np.uint8)
    search = Hamming(codes[:1], codes[1:]), SharedLabels([(0,)], [(0,), (1,)])
    scores = evaluate(*search, [1000, None, 1], [1, 5]).metrics()
    assert scores["map_at"] == 2
    assert {"mAP@2", "mAP@1", "P@1"} <= scores.keys()
    assert not {"P@5", "mAP@1000"} & scores.keys()
    with pytest.raises(SDCError, match=r"cut-offs \[0\] and \[1\]: each must be at least 1, or all"):
        evaluate(*search, [0], [1])


def test_ground_truth_must_be_of_these_items():
    ranked = Hamming(np.zeros((1, 1), np.uint8), np.zeros((2, 1), np.uint8))
    with pytest.raises(
        SDCError, match="1 queries and 2 database items are ranked, but there is ground truth for 1 and 3"
    ):
        evaluate(ranked, SharedLabels([(0,)], [(0,)] * 3))
    with pytest.raises(SDCError, match="nothing to rank: 0 queries"):
        evaluate(Hamming(np.zeros((0, 1), np.uint8), np.zeros((2, 1), np.uint8)), SharedLabels([], [(0,)] * 2))


def test_random_codes_score_about_the_share_of_the_class():
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 256, (1100, 8), np.uint8)
    labels = [(int(label),) for label in generator.integers(0, 10, 1100)]
    scores = evaluate(Hamming(codes[:100], codes[100:]), SharedLabels(labels[:100], labels[100:]), [None]).metrics()
    assert scores["mAP@1000"] == pytest.approx(0.11, abs=0.01)
    assert scores["mAP@1000/pessimistic"] < scores["mAP@1000"] < scores["mAP@1000/optimistic"]


def test_without_labels_only_what_needs_none_is_counted():
    codes = [np.random.default_rng(seed).integers(0, 256, (count, 2), np.uint8) for seed, count in ((0, 5), (1, 30))]
    scores = unlabelled(Hamming(*codes))
    report = scores.report()
    assert report | {"labels": "none", "queries": 5, "database": 30} == report
    assert {*report} == {
        "labels", "queries", "database", "hamming_w1_binomial", "distances_in_use", "items_at_distance_0",
    }  # fmt: skip
    assert scores.headline == "neighbour_recall@10" and scores.precisions(np.arange(5)) == {}
    assert not any(map(len, [*scores.histogram().values(), *scores.ranks().values()]))
