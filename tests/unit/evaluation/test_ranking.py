import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdc.errors import SDCError
from sdc.evaluation import ranking, ties
from sdc.evaluation.ranking import Cosine, Hamming
from sdc.evaluation.relevance import SharedLabels
from sdc.evaluation.scores import evaluate


def test_cosine_ties_are_equal_similarities():
    database = np.array([[0.0, 2.0], [1.0, 0.0], [5.0, 0.0], [1.0, 1.0]], np.float32)
    labels = SharedLabels([(0,)], [(1,), (1,), (0,), (0,)])
    # Order: 1 and 2 tied, 3, 0.
    scores = evaluate(Cosine(np.array([[2.0, 0.0]]), lambda: [database], 4), labels, [3], [1, 2, 3]).metrics()
    assert scores["P@1"] == 0.5
    assert scores["mAP@3/stable"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert scores["mAP@3/optimistic"] == pytest.approx((1 + 2 / 3) / 2)
    assert scores["mAP@3"] == pytest.approx((scores["mAP@3/stable"] + scores["mAP@3/optimistic"]) / 2)
    assert not [name for name in scores if "radius" in name]


# Along these there is no rounding, so that equal similarities are equal.
AXES = [[0, 0], [1, 0], [2, 0], [0, 1], [0, -3]]


@given(
    st.integers(1, 5).flatmap(
        lambda queries: st.tuples(
            st.lists(st.sampled_from(AXES), min_size=queries, max_size=queries),
            st.lists(st.sampled_from(AXES), min_size=1, max_size=9),
            st.lists(st.integers(0, 2), min_size=queries + 9, max_size=queries + 9),
        )
    ),
    st.integers(1, 10),
    st.integers(1, 4),
)
def test_cosine_is_brute_force_in_blocks(case, cutoff, step):
    queries, database, labels = case
    queries, database = np.array(queries, float), np.array(database, float)
    relevance = SharedLabels([(c,) for c in labels[: len(queries)]], [(c,) for c in labels[-len(database) :]])
    ranked = Cosine(queries, lambda: (database[i : i + step] for i in range(0, len(database), step)), len(database))
    units = database / np.maximum(np.linalg.norm(database, axis=1, keepdims=True), 1e-12)
    similarities = queries @ units.T
    levels = [relevance.levels(query) for query in range(len(queries))]
    if not any(row.any() for row in levels):
        return
    found = evaluate(ranked, relevance, [cutoff], [1])
    for query, row in enumerate(levels):
        if not row.any():
            continue
        values = sorted(set(similarities[query]), reverse=True)
        counts = [[np.sum((similarities[query] == v) & (row == level)) for v in values] for level in (0, 1)]
        expected = ties.Buckets(np.array([counts])).average_precision(cutoff, "top")
        assert found.per_query[f"mAP@{min(cutoff, len(database))}"][query] == pytest.approx(expected[0])


def test_passes_over_the_database_keep_within_memory(monkeypatch):
    generator = np.random.default_rng(0)
    queries, database = generator.standard_normal((9, 5)), generator.standard_normal((40, 5))
    relevance = SharedLabels([(q % 3,) for q in range(9)], [(d % 3,) for d in range(40)])
    passes = []

    def blocks():
        passes.append(1)
        yield database

    whole = evaluate(Cosine(queries, blocks, 40), relevance, [7]).per_query["mAP@7"]
    assert len(passes) == 1
    monkeypatch.setattr(ranking, "SIMILARITY_BYTES", 4 * 40 * 2)
    parts = evaluate(Cosine(queries, blocks, 40), relevance, [7]).per_query["mAP@7"]
    assert len(passes) == 1 + 5
    assert parts == pytest.approx(whole)


def test_nearest_by_cosine_are_in_order_and_ties_in_database_order(monkeypatch):
    generator = np.random.default_rng(0)
    queries, database = generator.standard_normal((9, 5)), generator.standard_normal((40, 5))
    database[20:] = database[:20]
    monkeypatch.setattr(ranking, "SIMILARITY_BYTES", 4 * 40 * 2)
    cosines = (queries / np.linalg.norm(queries, axis=1)[:, None]) @ (
        database / np.linalg.norm(database, axis=1)[:, None]
    ).T
    expected = np.argsort(-cosines.astype(np.float32), axis=1, kind="stable")
    blocks = Cosine(queries, lambda: (database[:20], database[20:]), 40)
    assert blocks.nearest(7).tolist() == expected[:, :7].tolist()
    assert blocks.nearest(100).tolist() == expected.tolist()


def test_code_lengths_must_agree():
    with pytest.raises(SDCError, match="16 and 8 bits"):
        Hamming(np.zeros((1, 2), np.uint8), np.zeros((1, 1), np.uint8))


def test_features_must_be_numbers():
    database = np.array([[1.0], [np.nan]])
    with pytest.raises(SDCError, match="features hold NaN or infinity: item 1 of a block"):
        evaluate(Cosine(np.ones((1, 1)), lambda: [database], 2), SharedLabels([(0,)], [(0,), (0,)]))


def test_nearest_items_are_in_order_and_ties_in_database_order():
    ranked = Hamming(np.array([[0]], np.uint8), np.array([[3], [1], [0], [2]], np.uint8))
    for top in (3, 9):
        positions, distances = ranked.nearest(0, top)
        assert positions.tolist() == [2, 1, 3, 0][:top]
        assert distances.tolist() == [0, 1, 1, 2][:top]
