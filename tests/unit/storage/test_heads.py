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
