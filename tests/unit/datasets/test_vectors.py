import sys

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdc.datasets import vectors
from sdc.datasets.problems import Problems
from sdc.datasets.vectors import Vectors, by_id, open_vectors
from sdc.errors import SDCError

LABELS, IDS = np.arange(50) % 3, [f"pic{row}" for row in range(50)]


@pytest.fixture
def features():
    return np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)


def write_h5(path, features, chunks=None):
    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=features, chunks=chunks)
        file["labels"] = LABELS
        file["ids"] = IDS


def write_parquet(path, features, as_lists=True):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    columns = {"features": list(features)} if as_lists else {f"d{i}": features[:, i] for i in range(features.shape[1])}
    table = pa.table({"ids": IDS, **columns, "labels": LABELS})
    pyarrow.parquet.write_table(table, path, row_group_size=16)


WRITERS = {
    "a.npy": np.save,
    "a.npz": lambda path, features: np.savez(path, features=features, labels=LABELS, ids=IDS),
    "packed.npz": lambda path, features: np.savez_compressed(path, features=features, labels=LABELS, ids=IDS),
    "a.h5": write_h5,
    "chunks.hdf5": lambda path, features: write_h5(path, features, chunks=(7, 2)),
    "lists.parquet": write_parquet,
    "columns.parquet": lambda path, features: write_parquet(path, features, as_lists=False),
    "a.pt": lambda path, features: torch.save(
        {"features": torch.from_numpy(features), "labels": torch.from_numpy(LABELS), "ids": IDS}, path
    ),
    "bare.pth": lambda path, features: torch.save(torch.from_numpy(features), path),
    # What public hashing code calls its descriptors.
    "train.txt": lambda path, features: torch.save(
        {"codes": torch.from_numpy(features), "labels": torch.from_numpy(LABELS), "id": IDS}, path
    ),
}
BARE = {"a.npy", "bare.pth"}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_holds_the_same(tmp_path, features, name, monkeypatch):
    monkeypatch.setattr(vectors, "WINDOW_BYTES", 5 * 6 * 4)  # five rows
    WRITERS[name](tmp_path / name, features)
    file = open_vectors(tmp_path / name)
    assert (file.shape, file.dtype, len(file)) == ((50, 6), np.float32, 50)
    for rows in (
        np.arange(50),
        np.arange(13, 40),
        np.array([49, 3, 3, 0, 17]),
        np.random.default_rng(1).permutation(50),
    ):
        assert np.array_equal(file.take(rows), features[rows])
    if name in BARE:
        assert file.labels is None
        assert file.ids is None
    else:
        assert np.array_equal(np.asarray(file.labels), LABELS)
        assert file.ids == IDS


@given(st.lists(st.integers(0, 49), max_size=30), st.integers(1, 60))
def test_rows_come_in_the_order_asked_for(tmp_path_factory, rows, window):
    path = tmp_path_factory.getbasetemp() / "order.npy"
    features = np.arange(100, dtype=np.float16).reshape(50, 2)
    np.save(path, features)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "WINDOW_BYTES", 4 * window)
        rows = np.array(rows, np.int64)
        assert np.array_equal(open_vectors(path).take(rows), features[rows])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_types_are_kept(tmp_path, features, dtype):
    np.save(tmp_path / "a.npy", np.asfortranarray(features.astype(dtype)))
    taken = open_vectors(tmp_path / "a.npy").take(np.array([4, 2]))
    assert taken.dtype == dtype
    assert np.array_equal(taken, features[[4, 2]].astype(dtype))


def test_ids_may_be_numbers_or_bytes(tmp_path, features):
    np.savez(tmp_path / "a.npz", features=features, ids=np.arange(50))
    assert open_vectors(tmp_path / "a.npz").ids[:3] == ["0", "1", "2"]
    np.savez(tmp_path / "a.npz", features=features, ids=np.array(IDS, "S5"))
    assert open_vectors(tmp_path / "a.npz").ids == IDS


def test_formats_that_are_read_whole_say_so(tmp_path, features, caplog):
    caplog.set_level("INFO")
    for name in ("a.npy", "a.npz"):
        WRITERS[name](tmp_path / name, features)
        open_vectors(tmp_path / name)
    assert "a.npz: read whole, 0.00 GB; .npy and HDF5 are read block by block" in caplog.text
    assert "a.npy: read" not in caplog.text


class Call:
    """A pickle that calls something as it is read."""

    def __reduce__(self):
        return (print, ("called",))


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("gone.npy", lambda path: None, r"gone.npy: no such file .*/ holds nothing; put the features there or name"),
        ("a.mat", lambda path: path.touch(), r"a.mat: suffix '.mat' is not known; allowed: .npy, .npz, .h5"),
        ("a.npy", lambda path: path.write_bytes(b"text"), r"a.npy: cannot be read as .npy \(.*\); write it again"),
        ("a.npz", lambda path: path.write_bytes(b"text"), r"a.npz: cannot be read as .npz \(.*\); write it again"),
        ("a.h5", lambda path: path.write_bytes(b"text"), r"a.h5: cannot be read as .h5 \(.*\); write it again"),
        ("a.pt", lambda path: path.write_bytes(b"text"), r"a.pt: holds something other than tensors, lists"),
        ("a.npy", lambda path: np.save(path, np.array([{}])), r"a.npy: cannot be read as .npy"),
        ("a.pt", lambda path: torch.save({"features": Call()}, path), r"a.pt: holds something other than tensors"),
        ("a.npz", lambda path: np.savez(path, x=np.zeros(3), y=np.zeros(3)), r"a.npz: holds x, y, not features; name"),
        ("a.npy", lambda path: np.save(path, np.zeros(3)), r"shape \(3,\), expected \(rows, numbers per row\)"),
        ("a.npy", lambda path: np.save(path, np.zeros((3, 0))), r"shape \(3, 0\), expected \(rows, numbers per row\)"),
        (
            "a.npy",
            lambda path: np.save(path, np.zeros((3, 2), np.uint8)),
            r"a.npy: vectors are uint8, expected float16, float32 or float64; save array.astype\('float32'\)",
        ),
        (
            "a.pt",
            lambda path: torch.save(torch.zeros(3, 2, dtype=torch.bfloat16), path),
            r"a.pt: features are bfloat16, which NumPy does not know; save tensor.float\(\)",
        ),
    ],
)  # fmt: skip
def test_what_holds_no_vectors_is_refused(tmp_path, capsys, name, write, message):
    write(tmp_path / name)
    with pytest.raises(SDCError, match=message):
        open_vectors(tmp_path / name)
    assert "called" not in capsys.readouterr().out


def test_lists_that_differ_in_length_are_refused(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    pyarrow.parquet.write_table(pa.table({"features": [[1.0, 2.0], [3.0], [4.0, 5.0, 6.0]]}), tmp_path / "a.parquet")
    with pytest.raises(SDCError, match=r"a.parquet: cannot be read .*the lists of column features differ in length"):
        open_vectors(tmp_path / "a.parquet")


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").touch()
    with pytest.raises(SDCError, match=r"a.parquet: needs pyarrow; pip install 'sdc-hashing\[parquet\]', or save the"):
        open_vectors(tmp_path / "a.parquet")


def test_rows_that_are_not_finite_are_counted_and_the_first_is_named(tmp_path, features, monkeypatch):
    monkeypatch.setattr(vectors, "WINDOW_BYTES", 5 * 6 * 4)
    np.save(tmp_path / "a.npy", features)
    open_vectors(tmp_path / "a.npy").check(Problems())
    features[[17, 31], [0, 5]] = np.nan, np.inf
    np.save(tmp_path / "a.npy", features)
    with pytest.raises(SDCError, match=r"a.npy: row 17 holds NaN or infinity \(2 such\); regenerate these vectors"):
        open_vectors(tmp_path / "a.npy").check(Problems())


def test_ids_given_twice_are_counted_and_the_first_is_named(tmp_path, features):
    np.savez(tmp_path / "a.npz", features=features, ids=[*IDS[:47], "pic3", "pic2", "pic3"])
    with pytest.raises(SDCError, match=r"a.npz: id pic2 is that of several rows \(3 such\); give each its own"):
        open_vectors(tmp_path / "a.npz").check(Problems())
    open_vectors(tmp_path / "a.npz").check(Problems(), ids=IDS)


def test_files_one_after_the_other(tmp_path, features):
    np.save(tmp_path / "a.npy", features[:20])
    np.save(tmp_path / "b.npy", features[20:].astype(np.float64))
    parts = [open_vectors(tmp_path / name) for name in ("a.npy", "b.npy")]
    named = [(parts[0], IDS[:20]), (parts[1], IDS[20:])]
    joined = Vectors(named, ["pic31", "pic2", "pic20", "pic19"])
    assert (joined.shape, joined.dtype, len(joined)) == ((4, 6), np.float64, 4)
    assert np.array_equal(joined.take(np.arange(4)), features[[31, 2, 20, 19]])
    assert np.array_equal(joined.take(np.array([3, 0])), features[[19, 31]])
    with pytest.raises(SDCError, match=r"a.npy, .*b.npy: no vector is of pic98 \(2 such\); add it, or run prep"):
        Vectors(named, ["pic1", "pic98", "pic99"])
    with pytest.raises(SDCError, match=r"a.npy: 20 rows where 19 are listed; give each its own, in order"):
        Vectors([(parts[0], IDS[:19])], IDS[:19])
    np.save(tmp_path / "b.npy", features[20:, :5])
    with pytest.raises(SDCError, match=r"b.npy: vectors have 5 numbers, those of .*a.npy 6; take files of one network"):
        Vectors([(parts[0], IDS[:20]), (open_vectors(tmp_path / "b.npy"), IDS[20:])], IDS)


def test_rows_by_id_are_those_of_the_file_of_that_name(tmp_path, features):
    paths = [f"index/p/i/{name}.jpg" for name in IDS]
    np.save(tmp_path / "a.npy", features)
    assert by_id(open_vectors(tmp_path / "a.npy"), paths) == paths
    np.savez(tmp_path / "a.npz", features=features[:3], ids=["x/pic7.png", "pic3", "other"])
    assert by_id(open_vectors(tmp_path / "a.npz"), paths) == [paths[7], paths[3], ""]
