import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdc import hamming
from sdc.evaluation.metrics import measure
from sdc.evaluation.neighbours import FoundNeighbours, code_distances, items_at_distances
from sdc.evaluation.ranking import Hamming


def over_all_orders(distances, neighbours, k):
    """The mean share of the first k neighbours among the first k items, over every order that distances allow."""
    orders = [
        order for order in itertools.permutations(range(len(distances)))
        if all(distances[one] <= distances[other] for one, other in itertools.pairwise(order))
    ]  # fmt: skip
    return np.mean([len({*order[:k]} & {*neighbours[:k]}) / k for order in orders])


@given(st.lists(st.integers(0, 3), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_expected_over_every_order_of_ties(distances, random):
    neighbours = list(range(len(distances)))
    random.shuffle(neighbours)
    items = np.bincount(distances, minlength=9)
    found = FoundNeighbours(items[None], np.array(distances)[neighbours][None], at=range(1, 7))
    assert found.parameters["K"] == list(range(1, 1 + len(distances)))
    for k in found.parameters["K"]:
        assert found.recall(k) == pytest.approx([over_all_orders(distances, neighbours, k)])
    assert found.recall(len(distances)) == pytest.approx([1])


def test_distances_and_counts_are_those_of_all_pairs():
    generator = np.random.default_rng(0)
    queries, database = (generator.integers(0, 256, (count, 3), np.uint8) for count in (300, 40))
    positions = generator.permuted(np.tile(np.arange(40), (300, 1)), axis=1)[:, :7]
    expected = hamming.distances(queries, database)
    assert code_distances(queries, database, positions).tolist() == np.take_along_axis(expected, positions, 1).tolist()
    counts = items_at_distances(Hamming(queries, database))
    assert counts.tolist() == [np.bincount(row, minlength=25).tolist() for row in expected]


def test_metrics_are_of_as_many_neighbours_as_there_are():
    found = FoundNeighbours(np.array([[2, 10, 8]]), np.array([[0, 1, *[2] * 8]]))
    measured = measure(found)
    assert [*measured] == ["neighbour_recall@1", "neighbour_recall@10"]
    # The nearest is one of two at distance 0; of the first ten items two are those, and eight of the ten behind them.
    assert measured["neighbour_recall@1"].tolist() == [0.5]
    assert measured["neighbour_recall@10"].tolist() == [pytest.approx((1 + 0.8) / 10)]
