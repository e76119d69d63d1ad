import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from sdc import Index, hamming
from sdc.search.recall import recall


def test_exact_search_finds_all_whatever_the_order_of_ties(codes):
    index = Index.build(codes(300, 16))
    assert recall(index, np.arange(0, 300, 7)) == {"recall@10": 1.0, "queries": 43}


def test_a_query_does_not_find_itself():
    # Of rows 0 to 3, the two nearest others are at distances 1 and 2, and 1 and 1, and so on.
    index = Index.build(np.array([[0], [1], [3], [7]], np.uint8))
    assert recall(index, np.arange(4), k=2) == {"recall@2": 1.0, "queries": 4}


class Half:
    """An engine that finds every second code only."""

    def __init__(self, engine):
        self.engine, self.d = engine, engine.d

    def search(self, queries, k):
        distances, rows = self.engine.search(queries, 2 * k)
        return distances[:, ::2], rows[:, ::2]


def test_what_an_engine_misses_counts(monkeypatch):
    # A code for each number of leading ones: no ties from its end.
    codes = np.packbits(np.tri(64, 64, -1, dtype=bool), axis=1)
    index = Index.build(codes)
    monkeypatch.setattr(index, "_engine", Half(index._engine))
    monkeypatch.setattr(index, "view_of_codes", lambda: codes)
    # Of row 0, the nearest are 0, 1, 2, …; found are 0, 2, 4, …, of which 2, 4, 6, 8 and 10 are among 1 to 10.
    assert recall(index, np.array([0])) == {"recall@10": 0.5, "queries": 1}


def test_nothing_to_measure(codes):
    assert recall(Index.build(codes(50)), np.arange(0)) is None
    assert recall(Index.build(codes(10)), np.arange(10)) is None


def test_of_many_queries_a_thousand_are_taken(codes):
    assert recall(Index.build(codes(3000)), np.arange(3000))["queries"] == 1000


@hypothesis.settings(max_examples=40)
@hypothesis.given(
    st.integers(0, 2**31), st.integers(12, 90), st.integers(1, 10), st.sampled_from(["flat", "multihash"])
)
def test_recall_is_that_of_its_formula(seed, count, k, engine):
    generator = np.random.default_rng(seed)
    # Few different bytes, so that many distances are equal, and many codes too.
    codes = generator.choice(np.array([0, 1, 3, 7, 255], np.uint8), (count, 2))
    settings = {"flips": 0, "tables": 1, "key_bits": 8} if engine == "multihash" else {}
    index, rows = Index.build(codes, engine=engine, **settings), np.arange(0, count, 3)
    shares = []
    for row in rows:
        others = np.delete(hamming.distances(codes[[row]], codes)[0].astype(int), row)
        distances, found = (each[0] for each in index.rows_near(codes[[row]], k + 1))
        answers = distances[(found >= 0) & (found != row)][:k]
        shares.append((answers <= np.sort(others)[k - 1]).sum() / k)
    assert recall(index, rows, k) == {f"recall@{k}": pytest.approx(np.mean(shares)), "queries": len(rows)}
    assert engine != "flat" or np.mean(shares) == 1
