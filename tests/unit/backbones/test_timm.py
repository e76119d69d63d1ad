import sys
import types

import pytest
import torch
from torch import nn

from sdc.backbones.timm import Timm
from sdc.errors import SDCError

CONFIG = {
    "input_size": (3, 98, 98),
    "crop_pct": 0.95,
    "interpolation": "bicubic",
    "mean": (0.1, 0.2, 0.3),
    "std": (1, 1, 2),
}


@pytest.fixture
def calls(monkeypatch):
    """A package that looks like timm; returns the calls of ``create_model``."""
    calls = []

    def create_model(name, **options):
        calls.append((name, options))
        if name == "nothing":
            raise RuntimeError("Unknown model\n(nothing)")
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))

    data = types.ModuleType("timm.data")
    data.resolve_model_data_config = lambda model: CONFIG
    package = types.ModuleType("timm")
    package.create_model, package.data = create_model, data
    monkeypatch.setitem(sys.modules, "timm", package)
    monkeypatch.setitem(sys.modules, "timm.data", data)
    return calls


def test_network_has_no_classifier_and_its_own_preprocessing(calls):
    backbone = Timm(model="timm", name="vit.dino")
    assert backbone.module()(torch.rand(2, 3, 98, 98)).shape == (2, 4)
    assert "crop_size=[98] resize_size=[103] mean=[0.1, 0.2, 0.3]" in backbone.transform_id()
    assert "InterpolationMode.BICUBIC" in backbone.transform_id()
    assert backbone.weights_id() == "vit.dino default"
    assert calls == [("vit.dino", {"num_classes": 0, "pretrained": True})]


def test_weights_are_a_file_or_none(calls, tmp_path):
    (tmp_path / "x.pth").write_bytes(b"weights")
    backbone = Timm(model="timm", name="vit", weights=str(tmp_path / "x.pth"))
    assert backbone.weights_id().startswith("vit sha256:")
    backbone.module()
    assert calls[0][1] == {"num_classes": 0, "checkpoint_path": str(tmp_path / "x.pth")}
    first, second = (Timm(model="timm", name="vit", weights="none").module() for _ in range(2))
    assert torch.equal(first[2].weight, second[2].weight)
    assert calls[-1][1]["pretrained"] is False


def test_what_cannot_be_made_is_named(calls, tmp_path):
    with pytest.raises(SDCError, match=r"backbones.timm: timm cannot build nothing \(Unknown model \(nothing\)\)"):
        Timm(model="timm", name="nothing").module()
    with pytest.raises(SDCError, match=r"backbones.timm.weights: 'best' is not default, none or a path"):
        Timm(model="timm", name="vit", weights="best").module()
    with pytest.raises(SDCError, match=r"x.pth: no such weights file; set backbones.timm.weights"):
        Timm(model="timm", name="vit", weights=str(tmp_path / "x.pth")).weights_id()


def test_without_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "timm.data", None)
    with pytest.raises(SDCError, match="backbones.timm: timm is not installed .*; pip install timm"):
        Timm(model="timm", name="vit").module()


def test_a_real_network():
    backbone = Timm(model="timm", name="vit_tiny_patch16_224", weights="none")
    with torch.inference_mode():
        assert backbone.module()(torch.rand(1, 3, 224, 224)).shape == (1, 192)
    assert "crop_size=[224] resize_size=[248]" in backbone.transform_id()
