"""BiHalf against published vectors, which come from public code in float64."""

import pytest
import torch

from sdc import BiHalf
from sdc.methods.data import Batch
from sdc.methods.losses import half_and_half, half_split_cosines


@pytest.fixture
def batch(vectors):
    return Batch(torch.from_numpy(vectors(8, 6, 0)), torch.from_numpy(vectors(8, 4, 1.0)).requires_grad_())


def test_codes(batch):
    codes = half_and_half(batch.logits.detach())
    rows = ["".join("1" if bit > 0 else "0" for bit in row) for row in codes.tolist()]
    assert rows == "1000 1001 0111 0100 1000 1110 0011 0111".split()
    assert half_split_cosines(codes).tolist() == pytest.approx([1, -0.5, 0.5, 0])


def test_terms_and_gradient(batch):
    terms = BiHalf().loss(batch)
    assert terms["pairs"].item() == pytest.approx(0.299951, abs=1e-6)
    total = sum(terms.values())
    assert total.item() == pytest.approx(1.233661, abs=1e-6)
    total.backward()
    assert batch.logits.grad[0].tolist() == pytest.approx([-0.017007, 0.007702, 0.085496, 0.007238], abs=1e-6)
    assert batch.logits.grad.norm().item() == pytest.approx(0.598703, abs=1e-6)


def test_odd_batch(batch):
    logits = batch.logits.detach()[:7].requires_grad_()
    terms = BiHalf().loss(Batch(batch.features[:7], logits))
    assert terms["pairs"].item() == pytest.approx(0.285045, abs=1e-6)
    sum(terms.values()).backward()
    assert logits.grad[6].tolist() == pytest.approx([0.057165, 0.000019, -0.018649, -0.297370], abs=1e-6)
