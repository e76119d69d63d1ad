import numpy as np
import pytest

from sdc.errors import StorageError
from sdc.head import Head
from sdc.storage.heads import read_head, write_head


def head():
    arrays = {"0.weight": np.ones((8, 3), np.float32), "0.bias": np.zeros(8, np.float32)}
    return Head(("linear",), arrays, {"method": "lsh", "bits": 8, "hyper_parameters": {"b": 1, "a": [2]}})


def test_head_round_trip(tmp_path):
    write_head(tmp_path / "h.safetensors", head())
    read = read_head(tmp_path / "h.safetensors")
    assert (read.layers, read.metadata) == (head().layers, head().metadata)
    assert all(np.array_equal(read.arrays[name], array) for name, array in head().arrays.items())
    first = (tmp_path / "h.safetensors").read_bytes()
    write_head(tmp_path / "h.safetensors", head())
    assert (tmp_path / "h.safetensors").read_bytes() == first


@pytest.mark.parametrize("content", [b"", b"no head", None])
def test_damaged_head_is_named(tmp_path, content):
    path = tmp_path / "h.safetensors"
    if content is None:
        from safetensors.numpy import save_file

        save_file({"0.weight": np.ones(2, np.float32)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(StorageError, match=r"h.safetensors: is not a valid head"):
        read_head(path)


def test_any_byte_that_changes_is_found_or_means_nothing(tmp_path):
    path = tmp_path / "h.safetensors"
    write_head(path, head())
    whole, known, features = path.read_bytes(), read_head(path), np.random.default_rng(0).standard_normal((50, 3))
    refused = 0
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        try:
            read = read_head(path)
            assert (read.layers, read.metadata) == (known.layers, known.metadata)
            assert np.array_equal(read.encode(features), known.encode(features))
        except StorageError as error:
            assert "h.safetensors: " in str(error)
            assert "regenerate it with: snakemake" in str(error)
            refused += 1
    assert refused > 0.9 * len(whole)


def test_another_head_and_one_of_an_older_version_are_refused(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "h.safetensors"
    write_head(path, head())
    assert read_head(path, {"method": "lsh", "bits": 8}).bits == 8
    with pytest.raises(StorageError, match=r"h.safetensors: is of bits 8, expected 16; regenerate it with: snakemake"):
        read_head(path, {"method": "lsh", "bits": 16})
    save_file(dict(head().arrays), path, {"sdc": '{"schema": "sdc.head/1", "layers": ["linear"], "bits": 8}'})
    with pytest.raises(StorageError, match=r"another version of sdc \(schema sdc.head/1, this one reads sdc.head/2\)"):
        read_head(path)


def test_a_head_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(StorageError, match=r"h.safetensors: cannot be read \(Permission denied\); make it readable"):
        read_head(tmp_path / "h.safetensors")
