import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from sdc import hamming
from sdc.errors import SDCError
from sdc.evaluation import ranking
from sdc.evaluation.ranking import Relevance, average_precision


def brute_force(query_code, codes, relevant, cutoff, k):
    """AP@R, P@K and hit@K from the definitions, on lists."""
    distance = lambda code: sum(bin(a ^ b).count("1") for a, b in zip(query_code, code, strict=True))  # noqa: E731
    order = sorted(range(len(codes)), key=lambda item: (distance(codes[item]), item))
    hits, total = 0, 0.0
    for rank, item in enumerate(order[:cutoff], start=1):
        if relevant[item]:
            hits += 1
            total += hits / rank
    top = [relevant[item] for item in order[:k]]
    return total / hits if hits else 0.0, sum(top) / k, float(any(top))


@given(st.data())
def test_metrics_are_the_brute_force_ones(data):
    queries, database = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 12))
    width = data.draw(st.sampled_from([1, 2, 9]))
    # Few distinct codes, so that most distances are tied.
    code = st.lists(st.sampled_from([0, 1, 255]), min_size=width, max_size=width)
    codes = data.draw(st.lists(code, min_size=queries + database, max_size=queries + database))
    multi = data.draw(st.booleans())
    label = st.lists(st.integers(0, 3), min_size=0 if multi else 1, max_size=3 if multi else 1, unique=True).map(tuple)
    labels = data.draw(st.lists(label, min_size=queries + database, max_size=queries + database))
    cutoff, k = data.draw(st.integers(1, database + 3)), data.draw(st.integers(1, database))
    relevance = Relevance(labels[:queries], labels[queries:])
    relevant = [[bool(set(q) & set(d)) for d in labels[queries:]] for q in labels[:queries]]
    answered = [q for q in range(queries) if any(relevant[q])]
    array = np.array(codes, np.uint8)
    rankings = ranking.hamming_rankings(array[:queries], array[queries:])
    if not answered:
        with pytest.raises(SDCError, match="no query has a relevant database item"):
            ranking.evaluate(rankings, relevance, cutoff, [k])
        return
    scores = ranking.evaluate(rankings, relevance, cutoff, [k])
    expected = np.mean([brute_force(codes[q], codes[queries:], relevant[q], cutoff, k) for q in answered], axis=0)
    found = [scores[f"mAP@{min(cutoff, database)}"], scores[f"P@{k}"], scores[f"hit_rate@{k}"]]
    assert found == pytest.approx(expected.tolist())
    assert scores["queries_without_relevant"] == queries - len(answered)


def test_worked_example():
    # Relevant at ranks 1 and 3 of 4: (1/1 + 2/3) / 2.
    assert average_precision(np.array([1, 0, 1, 0], bool), 4) == pytest.approx(5 / 6)
    assert average_precision(np.array([1, 0, 1, 0], bool), 2) == 1
    assert average_precision(np.array([0, 0, 1, 0], bool), 2) == 0


@given(st.lists(st.booleans(), min_size=1, max_size=30).filter(any))
def test_whole_ranking_is_scikit_learns_average_precision(relevant):
    scores = -np.arange(len(relevant), dtype=float)
    assert average_precision(np.array(relevant), len(relevant)) == pytest.approx(
        average_precision_score(relevant, scores)
    )


def test_ties_stand_in_database_order():
    codes = np.zeros((1, 1), np.uint8), np.array([[3], [1], [2], [1]], np.uint8)
    assert next(ranking.hamming_rankings(*codes)).tolist() == [1, 2, 3, 0]


def test_cosine_ranking_is_by_angle_with_ties_in_order():
    database = np.array([[0.0, 2.0], [1.0, 0.0], [5.0, 0.0], [1.0, 1.0]], np.float32)
    assert next(ranking.cosine_rankings(np.array([[2.0, 0.0]], np.float32), database)).tolist() == [1, 2, 3, 0]


def test_cosine_ranking_in_blocks():
    generator = np.random.default_rng(0)
    queries, database = generator.standard_normal((9, 5)), generator.standard_normal((40, 5))
    blocks = [[row.tolist() for row in ranking.cosine_rankings(queries, database, block)] for block in (1, 4, 64)]
    assert blocks[0] == blocks[1] == blocks[2]
    unit = database / np.linalg.norm(database, axis=1, keepdims=True)
    assert blocks[0][3] == np.argsort(-(unit @ queries[3]), kind="stable").tolist()


def test_cutoffs_are_capped_at_the_database():
    codes = np.zeros((3, 1), np.uint8)
    relevance = Relevance([(0,)], [(0,), (1,)])
    scores = ranking.evaluate(ranking.hamming_rankings(codes[:1], codes[1:]), relevance, 1000, [1, 5])
    assert scores["mAP@2"] == 1
    assert scores["map_at"] == 2
    assert "P@5" not in scores
    everything = ranking.evaluate(ranking.hamming_rankings(codes[:1], codes[1:]), relevance, None, [])
    assert everything["mAP@2"] == 1


def test_code_lengths_must_agree():
    with pytest.raises(SDCError, match="16 and 8 bits"):
        ranking.hamming_rankings(np.zeros((1, 2), np.uint8), np.zeros((1, 1), np.uint8))


def test_random_codes_score_about_the_share_of_the_class():
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 256, (1100, 8), np.uint8)
    labels = [(int(label),) for label in generator.integers(0, 10, 1100)]
    rankings = ranking.hamming_rankings(codes[:100], codes[100:])
    score = ranking.evaluate(rankings, Relevance(labels[:100], labels[100:]), None, [])["mAP@1000"]
    assert score == pytest.approx(0.11, abs=0.01)
    assert hamming.distances(codes[:1], codes).mean() == pytest.approx(32, abs=1)
