from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdc.datasets.join_lists import join_lists
from sdc.datasets.list_file import ListFile
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.labels import Labels


def lists(**splits):
    """List files from ``split=[(name, labels), …]``."""
    return {
        split: ListFile(
            Path(f"{split}.txt"),
            [name for name, _ in rows],
            Labels.of([labels or () for _, labels in rows]),
            0 if all(labels is None for _, labels in rows) else 1,
        )
        for split, rows in splits.items()
    }


def test_one_row_per_image_in_the_order_of_the_lists():
    joined = join_lists(
        lists(
            train=[("d", (2,)), ("n", (0, 1)), ("b", ())],
            query=[("q", (1,))],
            database=[("b", ()), ("a", (0,)), ("d", (2,))],
        ),
        Problems(),
    )
    assert joined.paths == ["b", "a", "d", "q", "n"]
    assert list(joined.labels) == [(), (0,), (2,), (1,), (0, 1)]
    assert {split: np.flatnonzero(flags).tolist() for split, flags in joined.splits.items()} == {
        "database": [0, 1, 2],
        "query": [3],
        "train": [0, 2, 4],
    }
    assert joined.repeated == {}


NAMES = st.lists(st.sampled_from("abcdefgh"), max_size=10)


@given(NAMES, NAMES, NAMES)
def test_join_is_that_of_dictionaries(database, query, train):
    given_lists = {"database": database, "query": query, "train": train}
    joined = join_lists(
        lists(**{split: [(name, (ord(name),)) for name in names] for split, names in given_lists.items()}),
        Problems(gather=True),
    )
    assert joined.paths == list(dict.fromkeys(database + query + train))
    assert list(joined.labels) == [(ord(name),) for name in joined.paths]
    for split, names in given_lists.items():
        assert joined.splits[split].tolist() == [name in names for name in joined.paths]
        assert joined.repeated.get(f"{split}.txt", 0) == len(names) - len(set(names))


def test_repeated_names_count_once(caplog):
    rows = [("a", (0,)), ("b", (1,)), ("a", (0,)), ("a", (0,))]
    joined = join_lists(lists(database=rows, query=[("q", (0,))], train=[("b", (1,))]), Problems())
    assert (joined.paths, joined.repeated) == (["a", "b", "q"], {"database.txt": 2})
    assert "database.txt names 2 images again; each counts once" in caplog.text


def test_other_labels_for_the_same_image_are_a_problem():
    given_lists = lists(database=[("a", (0,)), ("b", (1,))], query=[("q", (0,))], train=[("a", (0,)), ("b", (0, 1))])
    with pytest.raises(SDCError, match=r"train.txt: b has the labels \[0, 1\], on a line before \[1\] \(1 such\)"):
        join_lists(given_lists, Problems())
    same_list = lists(database=[("a", (0,)), ("a", (1,))], query=[("q", (0,))], train=[("a", (0,))])
    with pytest.raises(SDCError, match=r"database.txt: a has the labels \[1\], on a line before \[0\]"):
        join_lists(same_list, Problems())


def test_training_needs_no_labels_but_queries_and_database_do():
    rows = {"database": [("a", (0,))], "query": [("q", (0,))], "train": [("a", None), ("b", None)]}
    assert list(join_lists(lists(**rows), Problems()).labels) == [(0,), (0,), ()]
    with pytest.raises(SDCError, match=r"query.txt: no line has a label; labels say what is relevant"):
        join_lists(lists(**{**rows, "query": [("q", None)]}), Problems())


def test_key_tells_images_under_different_names():
    key = lambda name: name.split("_")[1]  # noqa: E731
    joined = join_lists(
        lists(database=[("a_1", (0,)), ("b_2", (1,))], query=[("q_3", (0,))], train=[("x_2", (1,))]), Problems(), key
    )
    assert joined.paths == ["a_1", "b_2", "q_3"]
    assert joined.splits["train"].tolist() == [False, True, False]
