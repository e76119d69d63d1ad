import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdc.evaluation import classes
from sdc.evaluation.classes import by_class, class_names, columns, group_means, query_classes
from sdc.labels import Labels
from sdc.storage.manifest import Manifest


def manifest(labels, query, train, classes):
    """Rows that are no queries are the database; some of these are for training."""
    query, train = np.asarray(query, bool), np.asarray(train, bool)
    facts = {"classes": classes}
    return Manifest([""] * len(query), Labels.single(np.asarray(labels)), query, ~query, train, facts)


def test_scores_by_hand():
    # Two queries each of a and b, none of c; four, two and one item to train on.
    labels = [0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 2]
    rows = manifest(labels, [1] * 4 + [0] * 7, [0] * 4 + [1] * 7, ["a", "b", "c"])
    scores = by_class({0: 1.0, 1: 0.5, 2: 0.2, 3: 0.4}, rows)
    assert [score[:4] for score in scores] == [("a", 4, 4, 2), ("b", 2, 2, 2), ("c", 1, 1, 0)]
    assert [score.precision for score in scores] == pytest.approx([0.75, 0.3, None])
    # Of two classes with queries there are no three groups.
    assert [score.group for score in scores] == ["", "", ""]
    assert group_means(scores) == {}


def test_overlaps_stand_with_their_classes():
    rows = manifest([0, 1, -1, 0, 1], [1, 1, 1, 0, 0], [0] * 5, ["a", "b", "c"])
    assert query_classes(rows).tolist() == [0, 1, -1]
    scores = by_class({0: 1.0, 1: 0.5}, rows, overlaps={17: np.array([0.25, np.nan])})
    assert [score.overlaps for score in scores] == [{17: 0.25}, {17: None}, {17: None}]
    assert class_names(rows) == ["a", "b", "c"]
    assert columns(scores)["overlap_17_bins"] == [0.25, None, None]


def test_classes_are_not_looked_at_one_by_one_where_they_are_many(monkeypatch):
    rows = manifest([0, 1, 0, 1], [1, 1, 0, 0], [0] * 4, ["a", "b", "c"])
    monkeypatch.setattr(classes, "MOST", 2)
    assert query_classes(rows) is None


def test_columns_without_classes_are_a_header():
    assert list(columns([])) == ["class", "train", "database", "queries", "mAP", "group"]
    assert not any(columns([]).values())


def test_groups_are_thirds_of_the_classes_by_training_items():
    # Ten classes with 1, 2, … 10 items to train on and a query each, in which class c scores c / 10.
    labels = np.concatenate([np.arange(10), np.repeat(np.arange(10), np.arange(1, 11))])
    flags = np.arange(len(labels)) < 10
    rows = manifest(labels, flags, ~flags, [])
    scores = by_class({row: row / 10 for row in range(10)}, rows)
    assert [score.name for score in scores] == list("0123456789")
    assert [score.group for score in scores] == ["tail"] * 3 + ["middle"] * 3 + ["head"] * 4
    assert group_means(scores) == pytest.approx({"head": 0.75, "middle": 0.4, "tail": 0.1})
    assert not any(score.group for score in by_class({0: 0.5}, rows, grouped=False))


@pytest.mark.parametrize(("train", "grouped"), [([9, 8, 7], False), ([4, 3, 2], True), ([0, 0, 0], False)])
def test_classes_of_about_one_size_have_no_groups(train, grouped):
    labels = np.concatenate([np.arange(3), np.repeat(np.arange(3), train)])
    flags = np.arange(len(labels)) < 3
    scores = by_class({0: 0.1, 1: 0.2, 2: 0.3}, manifest(labels, flags, ~flags, []))
    assert [score.group for score in scores] == (["head", "middle", "tail"] if grouped else [""] * 3)


def test_equal_sizes_go_by_index_and_unlabelled_queries_count_nowhere():
    labels = [0, 1, 2, -1, 0, 0, 1, 2]
    rows = manifest(labels, [1] * 4 + [0] * 4, [0] * 4 + [1] * 4, [])
    scores = by_class({0: 0.1, 1: 0.2, 2: 0.3, 3: 0.9}, rows)
    assert [score.group for score in scores] == ["head", "middle", "tail"]
    assert sum(score.queries for score in scores) == 3


@given(st.lists(st.tuples(st.integers(-1, 5), st.booleans(), st.booleans(), st.floats(0, 1)), min_size=1, max_size=60))
def test_as_loops_over_rowshave_it(items):
    labels, query, train = ([item[column] for item in items] for column in range(3))
    rows = manifest(labels, query, train, [])
    precisions = {row: item[3] for row, item in enumerate(items) if item[1]}
    scores = by_class(precisions, rows)
    for index, score in enumerate(scores):
        mine = [row for row, item in enumerate(items) if item[0] == index]
        found = [precisions[row] for row in mine if query[row]]
        assert (score.train, score.database) == (sum(train[r] for r in mine), sum(not query[r] for r in mine))
        assert score.queries == len(found)
        assert score.precision == (pytest.approx(sum(found) / len(found)) if found else None)
    grouped = [score for score in scores if score.group]
    for group, mean in group_means(scores).items():
        chosen = [items[row][3] for row in precisions if labels[row] >= 0 and scores[labels[row]].group == group]
        assert mean == pytest.approx(sum(chosen) / len(chosen))
    order = ["head", "middle", "tail"]
    for one in grouped:
        for other in grouped:
            assert order.index(one.group) <= order.index(other.group) or one.train <= other.train
