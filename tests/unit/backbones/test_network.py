import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms._presets import ImageClassification

from sdc.backbones.forward import choose_precision
from sdc.backbones.network import Network


class Means(Network):
    """The mean of each channel."""

    def weights_id(self):
        return "none"

    def _usual_preset(self):
        return ImageClassification(crop_size=24, resize_size=32)

    def _network(self):
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


def photograph(width, height):
    """Smooth shapes with some noise, as photographs have them."""
    generator = np.random.default_rng(0)
    coarse = Image.fromarray(generator.integers(0, 256, (9, 12, 3), np.uint8)).resize((width, height))
    noisy = np.asarray(coarse).astype(int) + generator.integers(-20, 21, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("instructions", ["AVX512", "DEFAULT"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize("size", [(500, 375), (48, 64), (32, 32), (20, 30)])
def test_resizer_and_scaler_are_the_transform(monkeypatch, interpolation, size, instructions):
    if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        instructions = "DEFAULT"
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: instructions)
    network = Means(model="means", interpolation=interpolation, resize=64, crop=56, mean=(0, 0, 0), std=(1, 1, 1))
    image = photograph(*size)
    pixels = network.resizer()(image)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (56, 56, 3))
    found = network.scaler()(torch.from_numpy(pixels)[None])[0]
    levels = (found - network.transform()(image)).abs() * 255
    # Torch's weights are rounded otherwise than Pillow's.
    assert levels.max() < (0.01 if instructions == "DEFAULT" or interpolation == "nearest" else 1.01)
    assert (levels > 0.01).float().mean() < 0.01


def test_a_view_is_taken_as_it_is():
    network = Means(model="means")
    view = photograph(24, 24)
    assert network.view_size(photograph(50, 40)) == (24, 24)
    assert np.array_equal(network.resizer(view=True)(view), view)


def test_options_that_change_features_are_in_the_transform():
    usual = Means(model="means").transform_id()
    assert "crop_size=[24]" in usual
    assert Means(model="means", normalise=True).transform_id() == f"{usual} normalise=True"
    assert Means(model="means", scales=(0.5, 1)).transform_id() == f"{usual} scales=[0.5, 1]"
    assert Means(model="means", precision="bfloat16").transform_id() == usual


def test_features_in_several_scales_and_of_length_one():
    batch = torch.rand(2, 3, 24, 24)
    means = batch.mean((2, 3))
    assert torch.allclose(Means(model="means").module()(batch), means)
    expected = nn.functional.normalize(means)
    assert torch.allclose(Means(model="means", normalise=True).module()(batch), expected)
    assert torch.allclose(Means(model="means", scales=(0.5, 1, 2)).module()(batch), expected, atol=0.02)


def test_precision_is_the_setting():
    network = Means(model="means", precision="float16")
    assert choose_precision(network.precision, torch.device("cpu"), network.module(), pytest.fail) == "float16"
