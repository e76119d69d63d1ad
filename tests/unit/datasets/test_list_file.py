from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdc.datasets.list_file import ListFile, join_lists, read_list
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.labels import Labels


@pytest.fixture
def write(tmp_path):
    def write(text, name="test.txt"):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / name

    return write


def test_one_number_is_the_index_of_a_class(write):
    listing = read_list(write("a/x.jpg 3\n\n  b\\y.jpg\t0 \r\n   \nz.jpg 12"), Problems())
    assert (listing.names, list(listing.labels), listing.columns) == (
        ["a/x.jpg", "b/y.jpg", "z.jpg"],
        [(3,), (0,), (12,)],
        1,
    )


def test_several_numbers_are_a_column_per_class(write):
    listing = read_list(write("\ufeffx.jpg 0 1 1   \ny.jpg 0\t0 0\nz.jpg 1 0 0 \n"), Problems(), classes=3)
    assert (list(listing.labels), listing.columns) == ([(1, 2), (), (0,)], 3)


def test_paths_alone_have_no_labels(write):
    listing = read_list(write("x.jpg\ny.jpg\n"), Problems())
    assert (listing.names, list(listing.labels), listing.columns) == (["x.jpg", "y.jpg"], [(), ()], 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x 1 0\n\ny 1 0 0\n", r"test.txt line 3: 3 label columns where line 1 has 2; write PATH INDEX, or"),
        ("\nx 1\ny 1 0\nz\n", r"test.txt line 3: 2 label columns where line 2 has 1 \(2 such lines\)"),
        ("x 4\ny 5\n", r"test.txt line 2: class 5 is out of range; there are 5 classes, 0 to 4"),
        ("x -1\n", r"test.txt line 1: class -1 is out of range"),
        ("path label\n", r"test.txt line 1: label 'label' is not the index of a class"),
        ("x 1.0\n", r"test.txt line 1: label '1.0' is not the index of a class"),
        ("x 0 0 1 0 1\ny 0 2 0 0 1\n", r"test.txt line 2: label '2' is neither 0 nor 1"),
        ("my x.jpg 0 1 0 0\n", r"line 1: label 'x.jpg' is neither 0 nor 1; .* no blanks in PATH"),
        ("x 0 1 0\n", r"test.txt: 3 label columns for 5 classes; use the list of these classes"),
        ("\n \n", r"test.txt: lists nothing; it needs lines of PATH LABEL"),
        (
            b"\x80\x02}q\x00.",
            r"cannot be read \(is not text; some code pickles its splits under such names\)",
        ),
    ],
)
def test_lines_that_are_wrong(write, text, message):
    with pytest.raises(SDCError, match=message):
        read_list(write(text), Problems(), classes=5)


def test_class_that_is_an_id_is_refused_even_if_nobody_knows_the_classes(write):
    with pytest.raises(SDCError, match=r"line 1: class 2124494179 is out of range; write PATH INDEX"):
        read_list(write("x 2124494179\n"), Problems())


def test_list_that_is_not_there(tmp_path):
    with pytest.raises(SDCError, match=r"gone.txt: cannot be read \(.*No such file"):
        read_list(tmp_path / "gone.txt", Problems())


def test_wrong_lines_are_counted_and_left_out_when_problems_are_gathered(write):
    problems = Problems(gather=True)
    listing = read_list(write("a 0\nb x\nc 1\nd 1 1\n"), problems)
    assert (listing.names, list(listing.labels)) == (["a", "c"], [(0,), (1,)])
    assert len(problems.lines) == 1
    assert "line 2: label 'x' is not the index of a class (2 such lines)" in problems.lines[0]


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=8), st.booleans())
@settings(max_examples=30)
def test_what_is_written_is_read(tmp_path_factory, rows, index):
    rows = [[column == row.index(max(row)) for column in range(4)] for row in rows] if index else rows
    file = tmp_path_factory.mktemp("list") / "a.txt"
    values = [str(row.index(True)) if index else " ".join(str(int(value)) for value in row) for row in rows]
    file.write_text("".join(f"{number}.jpg {value}\n" for number, value in enumerate(values)))
    listing = read_list(file, Problems(), classes=4)
    assert listing.labels == Labels.multi_hot(np.array(rows))
    assert listing.names == [f"{number}.jpg" for number in range(len(rows))]


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
