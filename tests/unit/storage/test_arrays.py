import h5py
import numpy as np
import pandas
import pytest
import torch

from sdc.errors import SDCError
from sdc.storage.arrays import open_array, read_values
from sdc.storage.label_files import ClassNames
from sdc.storage.sources import NAMES

TRIALS = 200

ROWS = np.arange(12, dtype=np.float32).reshape(6, 2)


def write(path, **arrays):
    """Arrays by name, in the format that the suffix says."""
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix in (".h5", ".hdf5", ".mat"):
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    elif path.suffix == ".pt":
        torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)
    else:
        import pyarrow.parquet

        table = {name: list(array) if array.ndim > 1 else array for name, array in arrays.items()}
        pyarrow.parquet.write_table(pyarrow.table(table), path)
    return path


KEYED = ["a.npz", "a.h5", "a.hdf5", "a.pt", "a.parquet"]


def content(file):
    with file.opened() as array:
        return np.asarray(array[:])


@pytest.mark.parametrize("name", KEYED)
@pytest.mark.parametrize("role", ["features", "codes"])
def test_an_array_has_any_of_its_names(tmp_path, name, role):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    for known in NAMES[role]:
        for labels in ("label", "labels"):
            file = open_array(write(tmp_path / name, **{known: ROWS, labels: np.arange(6), "id": np.arange(6)}), role)
            assert np.array_equal(content(file), ROWS)
            assert (file.shape, file.dtype) == ((6, 2), np.float32)
            assert np.asarray(file.labels).tolist() == list(range(6))
            assert file.ids == [str(row) for row in range(6)]
            assert np.asarray(read_values(file.path, "labels")).tolist() == list(range(6))


@pytest.mark.parametrize("name", KEYED[:4])
def test_the_only_array_may_be_called_anything_but_what_it_is_not(tmp_path, name):
    assert np.array_equal(content(open_array(write(tmp_path / name, whatever=ROWS), "features")), ROWS)
    write(tmp_path / name, labels=ROWS)
    with pytest.raises(SDCError, match=rf"{name}: holds labels, not features; name the array features, or give .*:N"):
        open_array(tmp_path / name, "features")


def test_features_come_first_for_features_and_codes_for_codes(tmp_path):
    path = write(tmp_path / "a.npz", features=ROWS, codes=-ROWS)
    assert np.array_equal(content(open_array(path, "features")), ROWS)
    assert np.array_equal(content(open_array(path, "codes")), -ROWS)


def test_an_array_can_be_asked_for_by_name(tmp_path):
    path = write(tmp_path / "a.h5", features=ROWS, other=-ROWS)
    assert np.array_equal(content(open_array(f"{path}:other", "features")), -ROWS)
    assert np.array_equal(read_values(f"{path}:other", "labels"), -ROWS)
    with pytest.raises(SDCError, match=r"a.h5: holds features, other, not more; name the array more"):
        open_array(f"{path}:more", "features")
    # A file whose own name has a colon is a file.
    path.rename(tmp_path / "b:c.h5")
    assert np.array_equal(content(open_array(tmp_path / "b:c.h5", "features")), ROWS)


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_numbered_columns_of_tables_are_the_features(tmp_path, name, caplog):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    caplog.set_level("INFO")
    frame = pandas.DataFrame(ROWS, columns=["dim_1", "dim_2"])
    frame = frame.assign(
        label=["1", "01", "x", "y, z", "1", "01"], id=[str(10**22 + row) for row in range(6)], height=1.5
    )
    table = tmp_path / name
    getattr(frame.set_index("height"), "to_csv" if name == "a.csv" else "to_parquet")(table)
    file = open_array(table, "features")
    assert np.array_equal(content(file), ROWS)
    assert (list(file.labels), file.ids) == (list(frame["label"]), list(frame["id"]))
    assert f"{table}: takes features, id, label; ignores height" in caplog.messages


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
@pytest.mark.parametrize(
    ("columns", "held"),
    [
        (["x", "y", "z"], "x, y, z"),
        (["a0", "a1", "b0", "b1"], "a0, b0"),
        (["f1", "f3", "label"], "f1, f3, label"),
    ],
)
def test_columns_that_may_be_anything_are_refused(tmp_path, name, columns, held):
    table = tmp_path / name
    frame = pandas.DataFrame(np.ones((3, len(columns))), columns=columns)
    (frame.to_csv if name == "a.csv" else frame.to_parquet)(table, index=False)
    with pytest.raises(
        SDCError, match=rf"{name}: holds {held}, not features; name .*number the columns of its dimensions"
    ):
        open_array(table, "features")


def test_hdf5_of_any_suffix(tmp_path):
    assert np.array_equal(content(open_array(write(tmp_path / "a.mat", codes=ROWS), "codes")), ROWS)
    (tmp_path / "b.mat").write_bytes(b"MATLAB 5.0")
    with pytest.raises(SDCError, match=r"b.mat: suffix '.mat' is not known; allowed: .npy, .npz"):
        open_array(tmp_path / "b.mat", "codes")
    with pytest.raises(SDCError, match=r"b.mat: suffix '.mat' is not known; allowed: .*, .csv"):
        read_values(tmp_path / "b.mat", "labels")


def test_files_that_are_not_there_or_damaged(tmp_path):
    with pytest.raises(
        SDCError, match=r"a.npy: no such file .*/ holds nothing; put the codes there or name their file"
    ):
        open_array(tmp_path / "a.npy", "codes")
    (tmp_path / "a.npy").write_bytes(b"text")
    with pytest.raises(SDCError, match=r"a.npy: cannot be read as .npy \(.*\); write it again"):
        read_values(tmp_path / "a.npy", "labels")


def everything(path):
    """All that a file holds, as plain values; what is wrong with it is one line."""
    try:
        file = open_array(path, "features")
        labels = ClassNames.of(file.labels, path)
        with file.opened() as array:
            rows = np.array(array[:])
    except SDCError as error:
        assert str(error).startswith(str(path))
        assert "\n" not in str(error)
        return None
    return rows.dtype.str, rows.tolist(), labels.values.tolist(), labels.counts.tolist(), file.ids


def sound(folder, name):
    """A file of this name with all that a format has of checksums."""
    features, labels, ids = (
        np.random.default_rng(0).random((40, 3), np.float32),
        np.arange(40) % 3,
        [f"i{n}" for n in range(40)],
    )
    path = folder / name
    if name == "a.npz":
        np.savez_compressed(path, features=features, labels=labels, ids=ids)
    elif name == "a.pt":
        torch.save({"features": torch.from_numpy(features), "labels": torch.from_numpy(labels), "ids": ids}, path)
    elif name == "old.pt":
        content = {"features": torch.from_numpy(features), "labels": torch.from_numpy(labels), "ids": ids}
        torch.save(content, path, _use_new_zipfile_serialization=False)
    elif path.suffix == ".h5":
        settings = {} if name == "old.h5" else {"chunks": True, "fletcher32": True}
        with h5py.File(path, "w", libver="earliest" if name == "old.h5" else "latest") as file:
            for key, array in {"features": features, "labels": labels, "ids": np.array(ids, "S")}.items():
                file.create_dataset(key, data=array, **settings)
    else:
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        table = pa.table({"features": list(features), "labels": labels, "ids": ids})
        pq.write_table(table, path, write_page_checksum=True, row_group_size=16)
    return path


@pytest.mark.parametrize(
    ("name", "checked"),
    [("a.npz", True), ("a.pt", True), ("old.pt", False), ("a.h5", True), ("old.h5", False), ("a.parquet", False)],
)
def test_flips_and_cuts_end_in_one_line_or_change_nothing(tmp_path, name, checked):
    """Where a format has no checksum of what was hit, other numbers cannot be told; then they must be numbers."""
    path = sound(tmp_path, name)
    expected, content = everything(path), path.read_bytes()
    assert expected is not None
    generator = np.random.default_rng(0)
    for trial in range(TRIALS):
        damaged, place = bytearray(content), generator.integers(len(content))
        if trial % 4:
            damaged[place] ^= 1 << generator.integers(8)
        else:
            del damaged[place:]
        path.write_bytes(damaged)
        actual = everything(path)
        assert actual is None or not checked or actual == expected, place
        assert actual is None or trial % 4 or actual == expected, place
