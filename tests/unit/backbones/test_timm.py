import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image
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
        network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
        network.pretrained_cfg = {"classifier": "head"}
        return network

    data = types.ModuleType("timm.data")
    data.resolve_model_data_config = lambda model: CONFIG
    package = types.ModuleType("timm")
    package.create_model, package.data = create_model, data
    package.list_models, package.list_pretrained = lambda: ["vit", "nothings"], lambda: ["vit.dino"]
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


def test_weights_are_a_file_with_or_without_its_classifier_or_none(calls, tmp_path):
    state = {"2.weight": torch.ones(4, 3), "2.bias": torch.zeros(4), "head.weight": torch.ones(10, 4)}
    torch.save(state, tmp_path / "x.pth")
    backbone = Timm(model="timm", name="vit", weights=str(tmp_path / "x.pth"))
    assert backbone.weights_id().startswith("vit sha256:")
    assert torch.equal(backbone.module()[2].weight, torch.ones(4, 3))
    assert calls[0][1] == {"num_classes": 0, "pretrained": False}
    torch.save({"2.weight": torch.ones(4, 3)}, tmp_path / "y.pth")
    with pytest.raises(SDCError, match=r"y.pth: is not a state dict that fits vit \(.*Missing key.*2.bias"):
        Timm(model="timm", name="vit", weights=str(tmp_path / "y.pth")).module()
    first, second = (Timm(model="timm", name="vit", weights="none").module() for _ in range(2))
    assert torch.equal(first[2].weight, second[2].weight)
    assert calls[-1][1]["pretrained"] is False


@pytest.mark.parametrize("mode", ["center", "squash"])
@pytest.mark.parametrize("pct", [0.875, 1.0])
def test_images_are_cropped_as_timm_does(monkeypatch, mode, pct):
    import timm

    config = {**CONFIG, "input_size": (3, 96, 96), "crop_pct": pct, "crop_mode": mode}
    monkeypatch.setattr(timm.data, "resolve_model_data_config", lambda model: config)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 600, 3), np.uint8))
    backbone = Timm(model="timm", name="resnet10t", weights="none")
    theirs = timm.data.create_transform(**config)(image)
    assert torch.allclose(backbone.transform()(image), theirs, atol=1e-6)
    pixels = torch.from_numpy(backbone.resizer()(image))[None]
    assert (backbone.scaler()(pixels)[0] - theirs).abs().mean() < 0.01


@pytest.mark.parametrize("change", [{"crop_mode": "border"}, {"input_size": (3, 98, 64)}])
def test_other_crops_are_refused(calls, monkeypatch, change):
    monkeypatch.setitem(CONFIG, *next(iter(change.items())))
    with pytest.raises(SDCError, match=r"vit.x was trained with crop_mode (border|center) and images of .* take"):
        Timm(model="timm", name="vit.x").transform_id()


def test_what_cannot_be_made_is_named(calls, tmp_path):
    with pytest.raises(SDCError, match=r"backbones.timm: timm cannot build nothing \(.*\); did you mean 'nothings'"):
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
