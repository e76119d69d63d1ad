import numpy as np
import pytest
from PIL import Image

from sdc.backbones.pixels import Pixels
from sdc.errors import SDCError

IMAGE = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5)


def test_rgb_vector_is_scaled():
    vector = Pixels(model="pixels").transform()(IMAGE)
    assert vector.numpy() == pytest.approx(np.arange(48) * 5 / 255)


def test_gray_has_one_value_per_pixel():
    assert Pixels(model="pixels", channels="gray").transform()(IMAGE).shape == (16,)


def test_size_resizes():
    pixels = Pixels(model="pixels", size=2)
    assert pixels.transform()(IMAGE).shape == (12,)
    assert pixels.transform_id() == "size=2 channels=rgb scale=1/255"


def test_views_have_the_setting_or_the_images_own_size():
    image = Image.new("RGB", (6, 4))
    assert Pixels(model="pixels").view_size(image) == (4, 6)
    assert Pixels(model="pixels", size=3).view_size(image) == (3, 3)
    view = IMAGE.resize((2, 2))
    pixels = Pixels(model="pixels", size=2)
    assert pixels.resizer(view=True)(view) == pytest.approx(np.asarray(view).ravel() / 255)


def test_pixels_have_no_tokens():
    assert not Pixels.has_tokens
    with pytest.raises(SDCError, match="backbones.pixels: has no tokens; extract views"):
        Pixels(model="pixels").token_module()


def test_module_is_the_identity():
    import torch

    batch = torch.rand(3, 5)
    assert Pixels(model="pixels").module()(batch) is batch
    assert Pixels(model="pixels").weights_id() == "none"


def test_bad_channels():
    with pytest.raises(SDCError, match="Pixels.channels: 'grey' is not known; allowed: rgb, gray; did you mean 'gray'"):
        Pixels(model="pixels", channels="grey")
