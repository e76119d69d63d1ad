"""What every registered backbone must do; a new one is covered by being registered."""

import dataclasses
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from sdc import Encoder, registry
from sdc.backbones.base import Backbone
from sdc.backbones.extraction import Extraction
from sdc.backbones.torchvision import Torchvision
from sdc.backbones.views import Views
from sdc.errors import SDCError
from sdc.stages import encode, extract, prepare, train
from sdc.storage.codes import read_codes
from sdc.storage.manifest import read_manifest

FACTORY = """
from torch import nn

def network():
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""
# Of whatever has such a setting: random weights, and so small that a forward pass takes a moment.
SMALL = {
    "weights": "none",
    "resize": 64,
    "crop": 64,
    "size": 4,
    "factory": "contract_network:network",
    "name": "test_resnet",
}
# Of torchvision's some eighty networks, which are one class: a few that differ in kind.
TRIED = ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "swin_t"]
RUN = [*TRIED, *(name for name in registry.BACKBONES if registry.load("backbones", name) is not Torchvision)]
CPU = torch.device("cpu")


@pytest.fixture
def build(tmp_path, monkeypatch):
    """``build(name, **settings)``: the backbone, small."""
    (tmp_path / "contract_network.py").write_text(FACTORY)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "contract_network", raising=False)

    def make(name, **settings):
        if name == "timm":
            pytest.importorskip("timm")
        known = {field.name for field in dataclasses.fields(registry.load("backbones", name))}
        small = {key: value for key, value in SMALL.items() if key in known}
        return registry.build("backbones", name, {**small, **settings})

    return make


@pytest.fixture(params=RUN)
def backbone(request, build):
    return build(request.param)


@pytest.fixture
def images():
    draw = np.random.default_rng(0)
    return [Image.fromarray(draw.integers(0, 256, (80, 100, 3), np.uint8)) for _ in range(5)]


def of_images(backbone):
    """The backbone, if it takes images; else there is nothing to test."""
    return backbone if backbone.takes == "images" else pytest.skip("takes vectors")


def features(backbone, images, **options):
    """All features of some images, or of their views."""
    run = Extraction(backbone, lambda image: image, CPU, sample=lambda: images, **options)
    return np.concatenate([block["features"] for block in run.blocks(images, np.arange(len(images)))])


@pytest.mark.parametrize("name", registry.BACKBONES)
def test_identity_and_what_extraction_asks(name, build):
    backbone = build(name)
    assert isinstance(backbone, Backbone)
    assert backbone.model == name
    assert backbone.takes in ("images", "vectors")
    assert backbone.dtype == "float32"
    assert build(name, dtype="float16").dtype == "float16"
    assert backbone.compile is False
    assert backbone.tokens is None
    assert isinstance(backbone.has_tokens, bool)
    for words in (backbone.weights_id(), backbone.transform_id()):
        assert words == " ".join(words.split()) != ""
    assert (backbone.weights_id(), backbone.transform_id()) == (build(name).weights_id(), build(name).transform_id())


@pytest.mark.parametrize("name", registry.BACKBONES)
def test_unknown_settings_are_refused_by_name(name, build):
    with pytest.raises(SDCError, match=rf"backbones.{name}.*no_such"):
        build(name, no_such=1)


def test_features_are_finite_rows_in_order_whatever_the_batch(backbone, images):
    found = features(of_images(backbone), images)
    assert found.shape[0] == 5
    assert (found.ndim, found.dtype) == (2, np.float32)
    assert np.isfinite(found).all()
    assert len(np.unique(found, axis=0)) == 5
    again = features(backbone, images[::-1], batch_size=2)[::-1]
    assert np.abs(again - found).max() <= 1e-5 * np.abs(found).max()


def test_built_again_it_is_the_same_and_no_global_state_is_touched(backbone, images):
    state = torch.random.get_rng_state()
    found = features(of_images(backbone), images)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(1)
    assert np.array_equal(features(dataclasses.replace(backbone), images), found)


def test_network_is_frozen_and_in_evaluation_mode(backbone):
    for network in (of_images(backbone).module(), backbone.clean_module()):
        assert not any(parameter.requires_grad for parameter in network.parameters())
        # What tracing leaves of a network's containers is a plain module, whose mode changes nothing.
        assert not any(module.training for module in network.modules() if type(module) is not torch.nn.Module)


def test_resizer_and_scaler_are_the_transform_in_two_parts(backbone, images):
    resize, scale, transform = of_images(backbone).resizer(), backbone.scaler(), backbone.transform()
    for image in images:
        expected = transform(image)
        found = scale(torch.from_numpy(resize(image))[None])[0]
        assert found.shape == expected.shape
        assert (found - expected).abs().max() < 0.05  # of numbers that are spread by about one; bytes are rounded


def test_views_are_as_wide_as_features_and_tokens_are_parts(backbone, images):
    views = Views.of("views", "photographs", 2, 0)
    found = features(of_images(backbone), images, views=views)
    assert found.shape == (5, 2, features(backbone, images).shape[1])
    assert np.isfinite(found).all()
    if backbone.has_tokens:
        tokens = features(backbone, images, views=views, tokens=True)
        assert tokens.shape[:2] == (5, 2)
        assert tokens.ndim == 4
        assert np.isfinite(tokens).all()
    else:
        with pytest.raises(SDCError, match=rf"backbones.{backbone.model}: has no tokens"):
            backbone.token_module()


def test_encoder_gives_the_codes_of_the_pipeline(backbone, make_images, tmp_path, monkeypatch):
    """The head's file says enough to turn the same images, or vectors, into the same bits."""
    monkeypatch.setenv("SDC_DEVICE", "cpu")
    root = make_images({"a": 6, "b": 6})
    vectors = np.random.default_rng(0).standard_normal((12, 6))
    np.savez(tmp_path / "x.npz", features=vectors, labels=np.arange(12) % 2)
    name, source = "folder", {"root": str(root)}
    if backbone.takes == "vectors":
        name, source = "features", {"file": str(tmp_path / "x.npz")}
    manifest, head, codes = tmp_path / "m.csv", tmp_path / "head.safetensors", tmp_path / "codes.h5"
    prepare.run(name, {**source, "query": 2, "train": 4}, manifest)
    settings = registry.settings_of(backbone)
    extract.run(manifest, backbone.model, settings, 0, 1, tmp_path / "f/0-of-1.h5")
    train.run(manifest, tmp_path / "f", 1, "lsh", {}, 64, 0, head, tmp_path / "curve.csv")
    encode.run(manifest, tmp_path / "f", 1, head, codes)
    paths = read_manifest(manifest).paths
    items = [root / path for path in paths] if name == "folder" else vectors[np.array(paths, int)]
    assert np.array_equal(Encoder.load(head).encode(items), read_codes(codes).codes)


def test_who_takes_images_takes_no_vectors_and_the_other_way_round(backbone):
    vectors = np.random.default_rng(0).standard_normal((4, 3))
    if backbone.takes == "images":
        with pytest.raises(SDCError, match=rf"backbones.{backbone.model}: takes images, no vectors"):
            backbone.convert(vectors)
        return
    assert np.array_equal(backbone.convert(vectors), vectors.astype(backbone.dtype))
    for part in ("transform", "module", "clean_module", "resizer"):
        with pytest.raises(SDCError, match=rf"backbones.{backbone.model}: takes vectors, no images"):
            getattr(backbone, part)()
