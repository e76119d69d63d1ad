import io
import pickle
import zipfile

import numpy as np
import pytest
import torch

from sdc.storage.sources import naming
from sdc.storage.torch_files import is_torch, read_torch

ROWS = np.arange(12, dtype=np.float32).reshape(6, 2)


def saved(tmp_path, content, **settings):
    torch.save(content, tmp_path / "a.pt", **settings)
    return tmp_path / "a.pt"


def read(path):
    with naming(path):
        return read_torch(path)


class Call:
    """A pickle that calls something as it is read."""

    def __reduce__(self):
        return (exec, ("open('called', 'w')",))


@pytest.mark.parametrize("settings", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "before 1.6"])
def test_tensors_lists_and_text(tmp_path, settings):
    tensor = torch.from_numpy(ROWS)
    source = read(
        saved(tmp_path, {"a": tensor, "b": tensor.T[:, ::2], "c": ["x", 1], 3: torch.nn.Parameter(tensor)}, **settings)
    )
    assert source.names == ["a", "b", "c", "3"]
    assert np.array_equal(source.read("a"), ROWS)
    assert np.array_equal(source.read("b"), ROWS.T[:, ::2])
    assert source.read("c") == ["x", 1]
    assert np.array_equal(source.read("3"), ROWS)
    assert read(saved(tmp_path, tensor, **settings)).names is None
    assert is_torch(tmp_path / "a.pt")


def test_checksums_are_verified(tmp_path, refused):
    """Torch itself reads other numbers without a word."""
    path = saved(tmp_path, {"features": torch.from_numpy(ROWS)})
    content = path.read_bytes()
    place = content.index(ROWS.tobytes()) + 9
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    assert not torch.equal(torch.load(path, weights_only=True)["features"], torch.from_numpy(ROWS))
    refused(lambda: read(path), r"a.pt: .*data/0 does not match its checksum; write it again")


def compressed(path):
    with (
        zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in archive.namelist():
            new.writestr(name, archive.read(name))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: torch.zeros(1, 2).expand(10**12, 2), r"features are larger than the file, one number stands for many"),
        (lambda: torch.zeros(3, 2, dtype=torch.bfloat16), r"features are bfloat16, which NumPy does not know; save te"),
        (lambda: torch.sparse_coo_tensor([[0, 1]], [1.0, 2.0], (10**9,)), r"features are torch.sparse_coo on cpu; sav"),
        (lambda: torch.zeros(10**12, device="meta"), r"features are torch.strided on meta; save a dense tensor of the"),
        (lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8), r"features are quantized on cpu; sav"),
        (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), r"features are nested on cpu; save"),
        (Call, r"a.pt: holds something other than tensors, lists and text, or is damaged; nothing else is loaded, for"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_what_is_no_array(tmp_path, refused, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path, {"features": content()})
    refused(lambda: read(path), message)
    assert not (tmp_path / "called").exists()


def test_files_of_others(tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.pt"
    for content in (b"", b"text", pickle.dumps(Call()), pickle.dumps({"features": np.zeros(3)})):
        path.write_bytes(content)
        refused(lambda: read(path), r"a.pt: holds something other than tensors, lists and text, or is damaged")
    assert not (tmp_path / "called").exists()
    saved(tmp_path, {"features": torch.zeros(10**6)})
    compressed(path)
    refused(
        lambda: read(path), r"a.pt: cannot be read as .pt \(it is compressed, as torch never does\); write it again"
    )
