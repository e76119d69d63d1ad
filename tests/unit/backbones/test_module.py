import sys

import pytest
import torch

from sdc import registry
from sdc.backbones.module import Module
from sdc.errors import SDCError
from sdc.stages import extract, prepare
from sdc.storage.features import Features

CODE = """
import torch
from torch import nn

class nested:
    @staticmethod
    def make(seed=0):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.AdaptiveAvgPool2d(1), nn.Flatten())

def other():
    return nested.make(1)

def shifted():
    network = nested.make()
    network[1].running_mean += 1
    return network

def nothing():
    return 3

def broken():
    raise ValueError("no file x.pth")
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of one's own in the working directory."""
    (tmp_path / "own_network.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "own_network", raising=False)
    return lambda name, **options: Module(model="module", factory=f"own_network:{name}", **options)


def test_network_is_what_the_factory_returns(own):
    network = own("nested.make").module()
    assert network(torch.rand(2, 3, 8, 8)).shape == (2, 5)
    assert not network.training
    assert not any(weight.requires_grad for weight in network.parameters())


def test_preprocessing_is_the_usual_unless_set(own):
    assert "crop_size=[224] resize_size=[256]" in own("other").transform_id()
    assert "crop_size=[30] resize_size=[32]" in own("other", crop=30, resize=32).transform_id()


def test_identity_is_that_of_the_weights(own):
    first, again, other = own("nested.make"), own("nested.make"), own("other")
    assert first.weights_id() == again.weights_id()
    assert first.weights_id().startswith("own_network:nested.make sha256:")
    assert first.weights_id().split()[1] != other.weights_id().split()[1]
    assert own("shifted").weights_id().split()[1] != first.weights_id().split()[1]  # of buffers too


def test_who_gets_the_network_may_change_it(own):
    backbone = own("nested.make")
    identity = backbone.weights_id()
    backbone.module()[1].running_mean += 1
    assert backbone.weights_id() == identity
    assert backbone.module()[1].running_mean.abs().max() == 0


@pytest.mark.parametrize(
    ("name", "why"),
    [("nothing", "returns a <class 'int'>, not an nn.Module"), ("broken", "no file x.pth"), ("absent", "absent")],
)
def test_factory_that_does_not_work_is_named(own, name, why):
    with pytest.raises(SDCError, match=f"backbones.module.factory: own_network:{name} .*{why}"):
        own(name).module()


def test_factory_is_a_path():
    with pytest.raises(SDCError, match=r"Module.factory: 'resnet' is not allowed; expected string matching"):
        Module(model="module", factory="resnet")


def test_features_of_ones_own_network(own, make_images, tmp_path):
    root = make_images({"cat": 5, "dog": 5})
    prepare.run("folder", {"root": str(root), "query": 1, "train": 2}, tmp_path / "m.csv")
    settings = {"type": "module", "factory": "own_network:other", "resize": 16, "crop": 16}
    extract.run(tmp_path / "m.csv", "mine", settings, 0, 1, tmp_path / "f/0-of-1.h5", "cpu")
    features = Features(tmp_path / "f", 1)
    assert features.shape == (10, 5)
    assert features.attributes["weights"] == registry.build("backbones", "mine", settings).weights_id()
