import numpy as np
import pytest

from sdc.errors import SDCError
from sdc.evaluation.relevance import ListedRelevance, SharedLabels, listed_positions


def test_shared_labels_are_counted_across_words():
    relevance = SharedLabels([(0, 64, 130), ()], [(0, 130), (64,), (), (1, 2, 3)])
    assert relevance.levels(0).tolist() == [2, 1, 0, 0]
    assert relevance.levels(1).tolist() == [0, 0, 0, 0]
    assert (relevance.kind, relevance.depth, relevance.size, len(relevance)) == ("multi", 4, 4, 2)
    # Where everything has one label at most, an item without one is relevant to nothing, not even its like.
    relevance = SharedLabels([(2,), ()], [(2,), (), (300,)])
    assert [relevance.levels(query).tolist() for query in (0, 1)] == [[1, 0, 0], [0, 0, 0]]
    assert relevance.kind == "single"


def test_negative_labels_are_refused():
    with pytest.raises(SDCError, match="label -1 is negative"):
        SharedLabels([(0,)], [(0,), (-1,)])


def test_junk_is_on_a_list_but_not_wanted():
    relevance = ListedRelevance([{"easy": np.array([0]), "junk": np.array([1]), "hard": np.array([3])}], 4)
    assert relevance.levels(0).tolist() == [1, 2, 0, 3]
    assert relevance.wanted(0).tolist() == [True, False, False, True]
    shared = SharedLabels([(0, 1)], [(1, 2), (2,), (0, 1)])
    assert shared.wanted(0).tolist() == [True, False, True]


def test_manifest_rows_become_database_positions():
    relevance = {4: {"relevant": np.array([9, 2])}, 0: {"relevant": np.array([], np.int64)}}
    lists = listed_positions(relevance, np.array([0, 4]), np.array([2, 5, 9]))
    assert [positions["relevant"].tolist() for positions in lists] == [[], [0, 2]]


@pytest.mark.parametrize(
    ("relevance", "message"),
    [
        ({}, "the query in row 4 has no list"),
        ({4: {"hard": np.array([5, 99])}}, "is hard for the query in row 4 is not in"),
    ],
)
def test_ground_truth_that_does_not_fit(relevance, message):
    with pytest.raises(SDCError, match=message):
        listed_positions(relevance, np.array([4]), np.array([2, 5, 9]))
