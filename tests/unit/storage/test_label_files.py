import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdc.errors import SDCError
from sdc.storage.label_files import ClassNames, number_classes, read_ids, read_labels


def classes_of(given):
    """The class names of each row."""
    labels, names = number_classes([ClassNames.of(given, "a.npy")])
    return [tuple(names[label] for label in row) for row in labels], names


@pytest.mark.parametrize("kind", [np.int64, np.float32, np.uint8, object, "U2", "S2"])
def test_a_column_is_a_class_per_row(kind):
    values = np.array([2, 0, 10, 2]).astype(kind)
    for given_values in (values, values[:, None]):
        assert classes_of(given_values) == ([("2",), ("0",), ("10",), ("2",)], ["0", "2", "10"])


def test_a_column_of_zeros_and_ones_is_two_classes():
    assert classes_of(np.array([[0], [1], [1]])) == ([("0",), ("1",), ("1",)], ["0", "1"])


def test_zeros_and_ones_are_a_column_per_class():
    assert classes_of(np.array([[0, 1, 1], [0, 0, 0], [1, 0, 0.0]]))[0] == [("1", "2"), (), ("0",)]


def test_text_stays_text():
    rows = [("1",), ("01",), ("b",), ("1",)]
    assert classes_of(np.array(["1", "01", "b", "1"])) == (rows, ["01", "1", "b"])
    assert classes_of(["10", "1", "01", "9"])[1] == ["01", "1", "9", "10"]


def test_lists_gaps_and_nothing():
    assert classes_of([["b", "a"], None, [], ["a", "a"], "c", ""])[0] == [("a", "b"), (), (), ("a",), ("c",), ()]
    assert classes_of(np.array([1, -1, 0]))[0] == [("1",), (), ("0",)]


def test_files_that_go_together_share_their_classes():
    parts = [ClassNames.of(given, "") for given in (np.array([7, 3]), ["x", "3"], np.array([[0, 1]]))]
    labels, names = number_classes(parts)
    assert [names[label] for (label,) in labels] == ["7", "3", "x", "3", "1"]


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=4), min_size=1, max_size=9))
def test_numbering_is_that_of_sets(rows):
    assert classes_of(rows)[0] == [tuple(sorted(set(row))) for row in rows]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.array([0.5]), r"a.npy: labels float64 of shape \(1,\) are not classes: row 0 holds 0.5; give a class"),
        (np.array([1, np.nan]), r"row 1 holds nan"),
        (np.array([[0, 2], [1, 1]]), r"labels int64 of shape \(2, 2\) are not classes: row 0 holds 2; give"),
        (np.array([[0, 1], [-1, 1]]), r"row 1 holds -1"),
        (np.zeros((2, 2, 2)), r"of shape \(2, 2, 2\) are not classes; give"),
        (np.array([["a", "b"]]), r"labels <U1 of shape \(1, 2\) are not classes"),
        (np.array([1j]), r"labels complex128 of shape \(1,\) are not classes"),
        (np.array(3), r"of shape \(\) are not classes"),
    ],
)
def test_what_is_not_a_class(values, problem):
    with pytest.raises(SDCError, match=problem):
        ClassNames.of(values, "a.npy")


def test_files_of_labels(tmp_path):
    expected = [("1",), ("01",), ("1",)]
    (tmp_path / "a.csv").write_text("row,label\nx,1\ny,01\nz,1\n")
    (tmp_path / "a.txt").write_text("1\n01\n1\n")
    np.save(tmp_path / "a.npy", np.array([["1"], ["01"], ["1"]]))
    np.savez(tmp_path / "a.npz", label=["1", "01", "1"], codes=np.zeros((3, 2)))
    for name in ("a.csv", "a.txt", "a.npy", "a.npz"):
        labels, names = number_classes([read_labels(tmp_path / name)])
        assert [tuple(names[label] for label in row) for row in labels] == expected, name
    (tmp_path / "a.csv").write_text("labels\n1;01\n\n2\n")
    assert read_labels(tmp_path / "a.csv").counts.tolist() == [2, 1]
    for name in ("no.csv", "no.txt", "no.npy"):
        with pytest.raises(SDCError, match=rf"{name}: not found; .*; put the labels there or name their file"):
            read_labels(tmp_path / name)


def test_torch_files_that_are_called_txt(tmp_path):
    import torch

    torch.save({"codes": torch.zeros(3, 2), "labels": torch.tensor([2, 0, 1])}, tmp_path / "train.txt")
    assert read_labels(tmp_path / "train.txt").values.tolist() == [2, 0, 1]


def test_ids_are_text(tmp_path):
    (tmp_path / "a.csv").write_text("label,path\n1,x\n2,y\n")
    np.savez(tmp_path / "a.npz", ids=[3, 4], label=[0, 0])
    assert read_ids(tmp_path / "a.csv") == ["x", "y"]
    assert read_ids(tmp_path / "a.npz") == ["3", "4"]


def test_rows_without_a_label_can_be_refused():
    for given_labels in (np.array([3, -1]), ["a", ""]):
        with pytest.raises(SDCError, match=r"a.npy: row 1 has no label \(1 such\); leave such rows out"):
            ClassNames.of(given_labels, "a.npy", complete=True)
    # A row of a column per class may have none.
    assert ClassNames.of(np.array([[0, 1], [0, 0]]), "a.npy", complete=True).counts.tolist() == [1, 0]
