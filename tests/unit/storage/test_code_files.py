import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sdc import hamming
from sdc.errors import SDCError
from sdc.storage import code_files

BITS = np.random.default_rng(0).random((5, 16)) < 0.5
BITS[0, :2] = 1, 0


def saved(tmp_path, array, name="codes.npy"):
    np.save(tmp_path / name, array)
    return tmp_path / name


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float32])
def test_a_column_per_bit(tmp_path, kind):
    for array in (BITS.astype(kind), *([2 * BITS.astype(kind) - 1] if kind in (np.int64, np.float32) else [])):
        found = code_files.read_codes(saved(tmp_path, array))
        assert np.array_equal(found.codes, hamming.pack(BITS))
        assert (found.bits, found.zeros) == (16, 0)


def test_packed_bytes(tmp_path):
    path = saved(tmp_path, hamming.pack(BITS))
    assert np.array_equal(code_files.read_codes(path).codes, hamming.pack(BITS))
    # Behind the last bit there is nothing: what the file holds there does not count.
    found = code_files.read_codes(path, 11)
    assert found.bits == 11
    assert np.array_equal(hamming.unpack(found.codes), BITS & (np.arange(16) < 11))
    with pytest.raises(SDCError, match=r"codes.npy: 2 bytes hold 9 to 16 bits, not 8; change --bits"):
        code_files.read_codes(path, 8)


def test_bytes_that_are_all_0_or_1_are_columns_unless_the_length_says_otherwise(tmp_path):
    array = np.array([[0, 1, 1, 0, 0, 0, 0, 1]], np.uint8)
    path = saved(tmp_path, array)
    assert code_files.read_codes(path).bits == code_files.read_codes(path, 8).bits == 8
    assert np.array_equal(code_files.read_codes(path, 64).codes, array)


@given(arrays(np.int8, (3, 12), elements=st.sampled_from([-1, 0, 1])))
def test_zeros_among_signs_are_counted(outputs):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = saved(Path(folder), outputs)
        found = code_files.read_codes(path, 12)
        assert np.array_equal(hamming.unpack(found.codes)[:, :12], outputs > 0)
        assert found.zeros == (np.count_nonzero(outputs == 0) if (outputs < 0).any() else 0)


def test_in_blocks(tmp_path, monkeypatch):
    whole = code_files.read_codes(saved(tmp_path, BITS))
    monkeypatch.setattr(code_files, "BLOCK_VALUES", 32)
    assert np.array_equal(code_files.read_codes(tmp_path / "codes.npy").codes, whole.codes)


def test_files_of_several_arrays(tmp_path):
    np.savez(tmp_path / "all.npz", codes=BITS, database=~BITS, labels=np.arange(5))
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file["codes"], file["database"], file["labels"] = BITS, ~BITS, np.arange(5)
        file.create_group("more")
    for name in ("all.npz", "all.h5"):
        assert np.array_equal(code_files.read_codes(tmp_path / name).codes, hamming.pack(BITS))
        assert np.array_equal(code_files.read_codes(f"{tmp_path / name}:database").codes, hamming.pack(~BITS))
        with pytest.raises(
            SDCError, match=rf"{name}: holds codes, database, labels, not test; name .* test, or give .*:NAME"
        ):
            code_files.read_codes(f"{tmp_path / name}:test")
    np.savez(tmp_path / "one.npz", whatever=BITS)
    assert code_files.read_codes(tmp_path / "one.npz").bits == 16


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.full((2, 8), 0.37), r"codes.npy: holds 0.37; codes are packed uint8, or 0 and 1, or -1 and 1"),
        (np.array([[0.0] * 7 + [np.nan]]), r"holds nan; codes are"),
        (np.full((2, 8), 200), r"holds 200; codes are"),
        (np.zeros((2, 12)), r"codes.npy: 12 bits are not a multiple of 8; give --bits 12 if that is meant"),
        (np.zeros(8), r"codes have shape \(8,\) and type float64; a row per item is needed"),
        (np.zeros((0, 8)), r"codes have shape \(0, 8\)"),
        (np.array([["a"]]), r"codes have shape \(1, 1\) and type <U1"),
    ],
)
def test_what_is_no_code(tmp_path, array, problem):
    with pytest.raises(SDCError, match=problem):
        code_files.read_codes(saved(tmp_path, array))


def test_columns_of_another_length(tmp_path):
    with pytest.raises(SDCError, match=r"codes.npy: has 16 columns, not 32; give --bits 16, or packed codes as uint8"):
        code_files.read_codes(saved(tmp_path, BITS), 32)


def test_files_that_cannot_be_read(tmp_path):
    for name in ("none.npy", "none.npz", "none.h5"):
        with pytest.raises(SDCError, match=rf"{name}: no such file .*; put the codes there or name their file"):
            code_files.read_codes(tmp_path / name)
        (tmp_path / name).write_text("text")
        with pytest.raises(SDCError, match=rf"{name}: cannot be read as {name[4:]} \(.*\); write it again"):
            code_files.read_codes(tmp_path / name)


@pytest.mark.parametrize("kind", [">f4", ">i2", "f2"])
def test_columns_whatever_the_order_of_numbers_and_bytes(tmp_path, kind):
    signs = 2 * BITS.astype(kind) - 1
    for array in (signs, np.asfortranarray(signs)):
        assert np.array_equal(code_files.read_codes(saved(tmp_path, array)).codes, hamming.pack(BITS))


@pytest.mark.parametrize("kind", ["c8", "M8[s]", [("a", "f4")], "S3", "V4"])
def test_types_that_are_no_codes(tmp_path, refused, kind):
    path = saved(tmp_path, np.zeros((2, 8), kind))
    refused(
        lambda: code_files.read_codes(path),
        r"codes.npy: codes have shape \(2, 8\) and type .*; a row per item is needed",
    )


def test_codes_that_do_not_fit_in_memory(tmp_path, refused, monkeypatch):
    path = saved(tmp_path, np.zeros((10**4, 16)))
    monkeypatch.setattr("sdc.storage.sources.available_bytes", lambda: 10**4)
    refused(lambda: code_files.read_codes(path), r"codes.npy: the codes would take 0.0 GB of memory")
