import numpy as np
import pytest

from sdc.errors import SDCError
from sdc.storage import sources
from sdc.storage.sources import WholeSource, check_memory, naming, shortened, size_of


def test_whatever_is_raised_names_the_file(tmp_path):
    for error in (ValueError("two\nlines"), MemoryError(), RecursionError("deep"), KeyError("x" * 1000)):
        with pytest.raises(SDCError) as caught, naming(tmp_path / "a.npy"):
            raise error
        assert str(caught.value).startswith(f"{tmp_path / 'a.npy'}: cannot be read as .npy (")
        assert str(caught.value).endswith("); write it again")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500
    with pytest.raises(SDCError, match=r"^as it is$"), naming(tmp_path / "a.npy"):
        raise SDCError("as it is")


def test_text_of_files_is_short_and_can_be_printed():
    assert shortened("a\x1b[2Jé") == "a?[2Jé"
    assert shortened("abc", 2) == "ab …"


def test_sizes_are_not_those_of_64_bits():
    assert size_of((10**12, 10**12), np.dtype("f8")) == 8 * 10**24
    with pytest.raises(ValueError, match=r"shape \(-1, 2\) is negative"):
        size_of((-1, 2), np.dtype("f4"))


def test_what_does_not_fit_in_memory_is_refused(monkeypatch):
    check_memory("a.npy", "labels", 1000)
    with pytest.raises(
        SDCError, match=r"a.npy: labels would take 1,000,000.0 GB of memory where [\d.]+ GB are left; chec"
    ):
        check_memory("a.npy", "labels", 10**15)
    monkeypatch.setattr(sources, "available_bytes", lambda: 3 * 10**9)
    check_memory("a.npy", "labels", 3 * 10**9)
    with pytest.raises(SDCError, match="3.1 GB of memory where 3.0 GB are left"):
        check_memory("a.npy", "labels", 31 * 10**8)


def test_arrays_in_memory(tmp_path):
    source = WholeSource(tmp_path, {"a": np.arange(3), "b": ["x"]})
    assert source.names == ["a", "b"]
    assert source.read("b") == ["x"]
    with source.rows("a")() as array:
        assert array.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="b is of type list, no array"):
        source.rows("b")
    assert WholeSource(tmp_path, np.arange(2)).names is None
