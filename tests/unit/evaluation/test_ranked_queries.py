import numpy as np
import pytest

from sdc.evaluation import ties
from sdc.evaluation.ranked_queries import RankedQueries
from sdc.evaluation.ranking import Hamming
from sdc.evaluation.relevance import SharedLabels


@pytest.fixture
def block():
    generator = np.random.default_rng(0)
    codes, labels = generator.integers(0, 4, (60, 1), np.uint8), generator.integers(0, 3, (60, 1)).tolist()
    (block,) = Hamming(codes[:9], codes[9:]).blocks(SharedLabels(labels[:9], labels[9:]), 51)
    return block


def test_the_chosen_rule_and_denominator_unless_others_are_given(block):
    buckets, order = ties.Buckets(block.counts), ties.Order(block.levels, block.counts[:, 1].sum(axis=1))
    for rule, ranked in (("expected", buckets), ("stable", order)):
        queries = RankedQueries(block, rule, "min", {})
        assert np.array_equal(queries.average_precision(7), ranked.average_precision(7, "min"))
        assert np.array_equal(queries.relevant_within(7), ranked.relevant_within(7))
        assert np.array_equal(queries.hit_rate(7), ranked.hit_rate(7))
        assert np.array_equal(queries.average_precision(7, "stable", "total"), order.average_precision(7, "total"))
        assert np.array_equal(queries.bounds(7), buckets.average_precision_bounds(7, "min"))


def test_balls(block):
    queries = RankedQueries(block, "expected", "top", {})
    for radius in (0, 2, 8):
        assert np.array_equal(queries.inside(radius), block.counts[:, :, : radius + 1].sum(axis=(1, 2)))
        assert np.array_equal(queries.relevant_inside(radius), block.counts[:, 1, : radius + 1].sum(axis=1))
    assert np.array_equal(queries.relevant_inside(8), queries.total)


def test_gain_of_the_best_order_is_1():
    codes = np.zeros((1, 1), np.uint8), np.array([[0], [1], [3]], np.uint8)
    (block,) = Hamming(*codes).blocks(SharedLabels([(0, 1)], [(0, 1), (0,), (5,)]), 3)
    assert RankedQueries(block, "stable", "top", {}).ndcg(3, np.arange(3.0)).tolist() == [1]
