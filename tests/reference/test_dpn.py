"""DPN against published vectors, which come from the authors' code in float64."""

import pytest
import torch

from sdc import DPN
from sdc.methods.data import Batch
from sdc.methods.losses import Constants


@pytest.fixture
def batch(vectors):
    codes = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [-1, -1, 1, 1]], dtype=torch.float64)
    labels = torch.eye(3, dtype=torch.float64)[torch.arange(8) % 3]
    logits = (1.5 * torch.from_numpy(vectors(8, 4, 1.0))).requires_grad_()
    return Batch(logits.detach(), logits, labels=labels, auxiliary=Constants(codes=codes))


def test_terms_and_gradient(batch):
    terms = DPN(shrinkage=0.1).loss(batch)
    assert terms["polarisation"].item() == pytest.approx(4.723410, abs=1e-6)
    assert terms["shrinkage"].item() == pytest.approx(0.1 * 1.143831, abs=1e-6)
    total = sum(terms.values())
    assert total.item() == pytest.approx(4.837793, abs=1e-6)
    total.backward()
    assert batch.logits.grad[0].tolist() == pytest.approx([0.008525, -0.133990, -0.130100, -0.134013], abs=1e-6)


def test_mean_over_bits(batch):
    assert DPN(bit_reduction="mean").loss(batch)["polarisation"].item() == pytest.approx(1.180852, abs=1e-6)


def test_items_of_two_classes(batch):
    batch.labels[0, 1] = batch.labels[5, 0] = 1
    terms = DPN().loss(batch)
    assert list(terms) == ["polarisation"]
    assert terms["polarisation"].item() == pytest.approx(5.238339, abs=1e-6)
