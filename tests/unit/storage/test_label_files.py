import h5py
import numpy as np
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdc.errors import SDCError
from sdc.storage.arrays import open_array
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


NAMES, IDS = ["1", "01", "1", "2"], ["1" * 22, "01", "1", "x"]


def written(path):
    """Labels and ids in a file of every format; returns the files of both."""
    vectors = np.zeros((4, 2), np.float32)
    match path.suffix:
        case ".npz":
            np.savez(path, features=vectors, labels=np.array(NAMES), ids=np.array(IDS))
        case ".h5":
            with h5py.File(path, "w") as file:
                file.update({"features": vectors, "labels": NAMES, "ids": IDS})
        case ".parquet":
            pandas.DataFrame({"features": list(vectors), "label": NAMES, "id": IDS}).to_parquet(path)
        case ".csv":
            pandas.DataFrame({"f0": vectors[:, 0], "f1": vectors[:, 1], "label": NAMES, "id": IDS}).to_csv(path)
        case ".pt":
            torch.save({"features": torch.tensor(vectors), "labels": NAMES, "ids": IDS}, path)
        case _:
            for name, texts in (("labels", NAMES), ("ids", IDS)):
                path.with_name(f"{name}.txt").write_text("\n".join(texts))
            return path.with_name("labels.txt"), path.with_name("ids.txt")
    return path, path


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".parquet", ".csv", ".pt", ".txt"])
def test_text_stays_text_in_every_format(tmp_path, suffix):
    labels, ids = written(tmp_path / f"a{suffix}")
    numbered, names = number_classes([read_labels(labels)])
    assert ([names[label] for (label,) in numbered], names) == (NAMES, ["01", "1", "2"])
    assert read_ids(ids) == IDS
    if suffix != ".txt":
        file = open_array(labels, "features")
        assert (file.shape, file.ids) == ((4, 2), IDS)
        assert classes_of(file.labels)[1] == names


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
        with pytest.raises(SDCError, match=rf"{name}: no such file .*; put the labels there or name their file"):
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


@pytest.mark.parametrize(
    ("given_labels", "names"),
    [
        (np.array([2**63, 3], np.uint64), [str(2**63), "3"]),
        (np.array([2**63 - 1, 3], np.uint64), [str(2**63 - 1), "3"]),
        ([10**30, 3], [str(10**30), "3"]),
        ([2**63, -1], None),
        ([str(10**30), "3"], [str(10**30), "3"]),
        (["9" * 5000, "3"], ["9" * 5000, "3"]),
        (np.array([2.0**53 - 1, 3]), [str(2**53 - 1), "3"]),
        ([2**60 + 1, None, 2**60], [str(2**60 + 1), None, str(2**60)]),
        (np.array([3, 4], ">i2"), ["3", "4"]),
        (np.array(["b", "ä"], ">U1"), ["b", "ä"]),
        ([b"b", True], ["b", "True"]),
    ],
)
def test_numbers_and_names_stay_what_they_are(given_labels, names):
    """Classes are names: a number may have any length."""
    if names is None:
        with pytest.raises(SDCError, match=r"a.npy: row 1 has -1 as the name of a class; leave it empty, or name"):
            ClassNames.of(given_labels, "a.npy")
    else:
        assert classes_of(given_labels)[0] == [() if name is None else (name,) for name in names]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (
            np.array([1, 2.0**53]),
            r"a.npy: labels float64 of shape \(2,\) are not classes: row 1 holds 9007199254740992.0",
        ),
        (
            np.array([1, 2**24], np.float32),
            r"labels float32 of shape \(2,\) are not classes: row 1 holds 16777216.0; give",
        ),
        (np.array([2048], np.float16), r"labels float16 of shape \(1,\) are not classes: row 0 holds 2048.0"),
        (np.array([np.inf]), r"row 0 holds inf"),
        ([1, float("nan")], r"row 1 holds nan"),
        ([[1], [2, 0.5]], r"row 1 holds 0.5"),
        (["1", "nan"], r"a.npy: row 1 has nan as the name of a class; leave it empty, or name the class"),
        (["1.0", "", "NaN"], r"row 2 has NaN as the name of a class"),
        (["cat", "-1"], r"row 1 has -1 as the name of a class"),
        (np.zeros(1, [("a", "f4")]), r"labels \[\('a', '<f4'\)\] of shape \(1,\) are not classes"),
        (np.zeros(1, "V5"), r"labels \|V5 of shape"),
        (np.zeros(1, "M8[s]"), r"labels datetime64\[s\] of shape"),
        (np.zeros((0,)), r"labels have shape \(0,\); give each row its own"),
        (np.zeros((5, 0)), r"labels have shape \(5, 0\); give each row its own"),
        ([{}], r"row 0 of the labels holds \{\}; save numbers or text"),
        ([[["a"]]], r"row 0 of the labels holds \['a'\]; save numbers or text"),
        ({"a": 1}, r"labels are a dict; save an array or list"),
        (["\ud800"], r"row 0 of the labels is not Unicode"),
    ],
)
def test_what_would_become_another_class(refused, values, problem):
    refused(lambda: ClassNames.of(values, "a.npy"), problem)


def test_nan_is_a_name_among_names():
    assert classes_of(["nan", "cat"])[0] == [("nan",), ("cat",)]


def test_one_long_name_among_many_takes_no_memory(refused, monkeypatch):
    monkeypatch.setattr("sdc.storage.sources.available_bytes", lambda: 10**9)
    cells = ["a"] * 10_000 + ["b" * 100_000]
    refused(
        lambda: ClassNames.of(cells, "a.csv"), r"a.csv: labels as long as 'b+ …' would take 4.0 GB of memory where 1.0"
    )


def test_columns_of_both_sides_must_be_as_many():
    parts = [ClassNames.of(np.eye(4, dtype=np.uint8)[:, :width], f"{width}.npy") for width in (3, 4)]
    with pytest.raises(
        SDCError, match=r"3.npy: labels have 3 columns, those of 4.npy 4; give both a column for each cl"
    ):
        number_classes(parts)
    assert len(number_classes([parts[0], parts[0]])[0]) == 8


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.txt", b"0 1 1\n0 1\n", r"a.txt: line 2 is '0 1', others are 3 zeros and ones; fix the line"),
        ("a.txt", b"0 1\n0 2\n", r"a.txt: line 2 is '0 2', others are 2 zeros and ones"),
        ("a.txt", b"cat\n0 2\n0 1\n", r"a.txt: line 1 is 'cat', others are 2 zeros and ones"),
        ("a.txt", b"", r"a.txt: holds no rows; give each row its own"),
        ("a.txt", b"1\n\0\n", r"a.txt: is not a text file in UTF-8 \(line 2 holds NUL characters\); save it as one"),
        ("a.txt", "1\n2\n".encode("utf-16"), r"a.txt: is not a text file in UTF-8 \(.*\); save it as one"),
        ("a.csv", b"label\n", r"a.csv: holds no rows; give each row its own"),
        ("a.csv", b"", r"a.csv: columns are none; name one of them label, "),
        ("a.csv", b"label,id\n1,2\n3\n", r"a.csv: line 3 has not 2 cells as the header has"),
        ("a.csv", b"label\n1\nnan\n", r"a.csv: row 1 has nan as the name of a class"),
    ],
)
def test_text_files_of_labels_that_are_damaged(tmp_path, refused, name, content, problem):
    (tmp_path / name).write_bytes(content)
    refused(lambda: read_labels(tmp_path / name), problem)


def test_lines_end_where_files_end_them(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffa\u2028b\r\nc\x0cd\r\n".encode())
    assert classes_of(read_labels(tmp_path / "a.txt").values.tolist())[1] == ["a b", "c d"]


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.npy", "b.npy"])
def test_flips_and_cuts_end_in_one_line_or_in_labels(tmp_path, name):
    """Text and ``.npy`` have no checksum: of what was hit only what is no text and no label can be told."""
    path = tmp_path / name
    labels = [f"k{n % 5}" for n in range(60)]
    if path.suffix == ".npy":
        np.save(path, np.array(labels) if name == "b.npy" else np.arange(60.0) % 5)
    else:
        path.write_text(
            "id,label\n" + "".join(f'"a,{label}",{label}\n' for label in labels)
            if name == "a.csv"
            else "\n".join(labels)
        )
    content, generator, told = path.read_bytes(), np.random.default_rng(0), 0
    for trial in range(200):
        damaged, place = bytearray(content), generator.integers(len(content))
        if trial % 4:
            damaged[place] ^= 1 << generator.integers(8)
        else:
            del damaged[place:]
        path.write_bytes(damaged)
        try:
            classes = read_labels(path)
            assert trial % 4 or path.suffix != ".npy"  # a header knows what a cut took
            number_classes([classes])[1][0].encode()
        except SDCError as error:
            assert str(error).startswith(str(path))
            assert "\n" not in str(error)
            told += 1
    assert told
