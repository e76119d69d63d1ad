import math

import numpy as np
import pytest
import torch
from torch import nn

from sdc import CroVCA
from sdc.methods.crovca import coding_rate
from sdc.methods.data import Batch


@pytest.fixture
def views(vectors):
    return torch.from_numpy(vectors(5, 3, 0)), torch.from_numpy(vectors(5, 3, 1))


def terms(first, second, **settings):
    both = torch.cat([first, second])
    return CroVCA(**settings).loss(Batch(both, both))


def test_alignment_is_that_of_a_plain_loop(views):
    total = 0.0
    for one, other in (views, views[::-1]):
        for row in range(5):
            for bit in range(3):
                likely = 1 / (1 + math.exp(-one[row, bit].item()))
                total -= math.log(likely if other[row, bit] > 0 else 1 - likely) / 15
    assert terms(*views)["alignment"].item() == pytest.approx(total / 2)


def test_coding_is_that_of_a_plain_loop(views):
    total = 0.0
    for view in views:
        products = np.eye(3)
        for row in view.numpy():
            unit = row / math.sqrt(sum(value * value for value in row))
            for a in range(3):
                for b in range(3):
                    products[a, b] += 3 / (5 * 0.2) * unit[a] * unit[b]
        ((a, b, c), (d, e, f), (g, h, i)) = products
        determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
        total -= math.log(determinant) / 2 * (3 + 5) / (3 * 5)
    assert terms(*views, coding=0.7, distortion=0.2)["coding"].item() == pytest.approx(0.7 * total / 2)


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (5, 5)])
def test_either_product_has_the_same_rate(vectors, shape):
    rows = vectors(*shape, 2)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    _, expected = np.linalg.slogdet(np.eye(shape[1]) + shape[1] / (shape[0] * 0.05) * unit.T @ unit)
    assert coding_rate(torch.from_numpy(rows), 0.05).item() == pytest.approx(expected / 2)


def test_spread_rows_take_more_than_equal_ones():
    assert coding_rate(torch.eye(8), 0.05) > coding_rate(torch.ones(8, 8), 0.05) > 0


def test_targets_send_no_gradient(views):
    first, second = (view.clone().requires_grad_() for view in views)
    terms(first, second)["alignment"].backward()
    # Of cross-entropy with logits: likelihood less target, over both directions and all entries.
    expected = (first.sigmoid() - (second > 0).double()) / 30
    assert first.grad.numpy() == pytest.approx(expected.detach().numpy())


def test_views_may_change_places(views):
    one, other = terms(*views), terms(*reversed(views))
    assert {name: value.item() for name, value in one.items()} == pytest.approx(
        {name: value.item() for name, value in other.items()}
    )


def test_heads_are_the_authors():
    small, large = (CroVCA(network=network).build_head(768, 64) for network in ("small", "large"))
    shapes = [[tuple(layer.weight.shape) for layer in head if isinstance(layer, nn.Linear)] for head in (small, large)]
    assert shapes == [[(768, 768), (64, 768)], [(2048, 768), (2048, 2048), (64, 2048)]]
    assert CroVCA(network="large").build_head(1280, 16)[0].weight.shape == (2560, 1280)
    for head in (small, large):
        assert isinstance(head[-1], nn.BatchNorm1d)
        assert head[0].weight.std().item() == pytest.approx(0.02, abs=1e-3)
        assert head[0].bias.abs().max() == 0


def test_original_is_the_authors_code():
    method = CroVCA.preset("original", bits=16)
    assert (method.optimiser, method.schedule, method.batch_size, method.epochs) == ("adamw", "cosine_steps", 256, 5)
    assert (method.learning_rate, method.weight_decay) == (1e-3, 1e-2)
