import itertools

import numpy as np
import pytest
import torch

from sdc.head import Head
from sdc.search.modules import EncoderModule, HeadModule
from tests.support.encoders import make_encoder


def head_of(draw, layers, sizes):
    """A head of random numbers; of linear layers, the sizes say how wide what goes in and out is."""
    arrays, widths = {}, iter(itertools.pairwise(sizes))
    for index, layer in enumerate(layers):
        if layer == "linear":
            fan_in, fan_out = next(widths)
            arrays[f"{index}.weight"] = draw.standard_normal((fan_out, fan_in)).astype(np.float32)
            arrays[f"{index}.bias"] = draw.standard_normal(fan_out).astype(np.float32)
        if layer == "layernorm":
            arrays[f"{index}.eps"] = np.array([1e-5], np.float32)
    return Head(tuple(layers), arrays)


@pytest.mark.parametrize(
    "layers",
    [
        ["linear"],
        ["linear", "relu", "linear"],
        ["linear", "gelu", "linear"],
        ["linear", "layernorm", "linear"],
        ["linear", "cos"],
    ],
    ids="-".join,
)
def test_a_module_gives_outputs_and_codes_of_its_head(layers):
    draw = np.random.default_rng(0)
    head = head_of(draw, layers, [6, 16, 16] if layers.count("linear") == 2 else [6, 16])
    features = draw.standard_normal((300, 6)).astype(np.float32)
    outputs, codes = HeadModule(head)(torch.from_numpy(features))
    assert (outputs.dtype, codes.dtype) == (torch.float32, torch.uint8)
    assert np.allclose(outputs, head.logits(features), rtol=1e-5, atol=1e-5)
    assert np.array_equal(codes, head.encode(features))


def test_a_module_gives_outputs_and_codes_of_an_encoder():
    network = {"type": "mobilenet_v3_small", "weights": "none", "resize": 32, "crop": 32, "precision": "float32"}
    images = [*np.random.default_rng(0).integers(0, 256, (12, 40, 40, 3), np.uint8)]
    encoder = make_encoder(network, images, "token_means", input="token_means")
    outputs, codes = EncoderModule(encoder)(torch.from_numpy(encoder.pixels(images)))
    assert np.allclose(outputs, encoder.outputs(images), atol=1e-4 * float(outputs.abs().max()))
    assert np.array_equal(codes, encoder.encode(images))
