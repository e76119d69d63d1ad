"""CIBHash against published vectors, which come from the authors' code in float64."""

import math

import pytest
import torch

from sdc import CIBHash
from sdc.methods.cibhash import bernoulli_divergence
from sdc.methods.data import Batch
from sdc.methods.losses import nt_xent


@pytest.fixture
def views(vectors):
    return [torch.from_numpy(vectors(4, 4, phase)) for phase in (1.0, 1.6)]


def test_codes(views):
    rows = [["".join("01"[bit] for bit in row) for row in (view > 0).int().tolist()] for view in views]
    assert rows == ["1000 1001 1111 1100".split(), "1000 1011 1101 1110".split()]


def test_terms_and_gradient(views):
    logits = torch.cat(views).requires_grad_()
    terms = CIBHash().loss(Batch(logits.detach(), logits))
    assert terms["contrast"].item() == pytest.approx(1.047893, abs=1e-6)
    assert terms["bottleneck"].item() == pytest.approx(0.001 * 0.098379, abs=1e-9)
    total = sum(terms.values())
    assert total.item() == pytest.approx(1.047991, abs=1e-6)
    total.backward()
    first = logits.grad[:4]
    assert first[0].tolist() == pytest.approx([0.013505, 0.009065, -0.005722, 0.009063], abs=1e-6)
    assert first.norm().item() == pytest.approx(0.143517, abs=1e-6)


def test_divergences(views):
    both = [bernoulli_divergence(*views).item(), bernoulli_divergence(*reversed(views)).item()]
    assert both == pytest.approx([0.098251, 0.098506], abs=1e-6)
    assert sum(both) / 2 == pytest.approx(0.098379, abs=1e-6)


def test_divergence_of_saturated_posteriors_is_exact():
    logits = torch.tensor([[40.0, -40.0]], dtype=torch.float64)
    # Public code, which keeps logarithms finite by adding 1e-8, gives 36.84.
    assert bernoulli_divergence(logits, -logits).item() == pytest.approx(80)


def test_contrast_of_logits(views):
    assert nt_xent(*views, 0.3).item() == pytest.approx(1.014087, abs=1e-6)


def test_contrast_of_orthonormal_codes():
    codes = torch.eye(4, dtype=torch.float64)
    expected = math.log(math.exp(1 / 0.3) + 6) - 1 / 0.3
    assert nt_xent(codes, codes, 0.3).item() == pytest.approx(expected, abs=1e-12)
    assert expected == pytest.approx(0.193957, abs=1e-6)
