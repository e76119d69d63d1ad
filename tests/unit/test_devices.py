import pytest

from sdc import devices
from sdc.errors import SDCError


def test_named_device_and_environment(monkeypatch):
    assert devices.choose("cpu").type == "cpu"
    monkeypatch.setenv("SDC_DEVICE", "cpu")
    assert devices.choose().type == "cpu"
    monkeypatch.setenv("SDC_DEVICE", "meta")
    assert devices.choose().type == "meta"
    assert devices.choose("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["gpu", "cuda:99"])
def test_unknown_devices(name):
    with pytest.raises(SDCError, match=f"device '{name}' cannot be used here; allowed: auto, cpu, cuda, cuda:N, mps"):
        devices.choose(name)


def test_auto_takes_cuda_where_there_is_one(monkeypatch):
    import torch

    monkeypatch.delenv("SDC_DEVICE", raising=False)
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert devices.choose().type == expected


def test_gpus_are_counted_without_torch():
    assert devices.count_gpus() >= 0
