import h5py
import numpy as np
import pytest

from sdc.errors import SDCError
from sdc.storage.arrays import NAMES, open_array, read_values

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
        import torch

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
            assert np.asarray(file.labels).tolist() == np.asarray(file.ids).tolist() == list(range(6))
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


def test_hdf5_of_any_suffix(tmp_path):
    assert np.array_equal(content(open_array(write(tmp_path / "a.mat", codes=ROWS), "codes")), ROWS)
    (tmp_path / "b.mat").write_bytes(b"MATLAB 5.0")
    with pytest.raises(SDCError, match=r"b.mat: suffix '.mat' is not known; allowed: .npy, .npz"):
        open_array(tmp_path / "b.mat", "codes")
    with pytest.raises(SDCError, match=r"b.mat: suffix '.mat' is not known; allowed: .*, .csv"):
        read_values(tmp_path / "b.mat", "labels")


def test_a_view_of_a_file_that_is_missing_is_refused(tmp_path):
    layout = h5py.VirtualLayout((6, 2), "f4")
    layout[:] = h5py.VirtualSource("source.h5", "x", (6, 2))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("features", layout)
    with pytest.raises(SDCError, match=r"a.h5: /features is a view of source.h5, which is missing; put it there"):
        open_array(tmp_path / "a.h5", "features")
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["x"] = ROWS
    assert np.array_equal(content(open_array(tmp_path / "a.h5", "features")), ROWS)


def test_files_that_are_not_there_or_damaged(tmp_path):
    with pytest.raises(SDCError, match=r"a.npy: not found; .*/ holds nothing; put the codes there or name their file"):
        open_array(tmp_path / "a.npy", "codes")
    (tmp_path / "a.npy").write_bytes(b"text")
    with pytest.raises(SDCError, match=r"a.npy: cannot be read as .npy \(.*\); write it again"):
        read_values(tmp_path / "a.npy", "labels")
