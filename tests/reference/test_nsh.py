"""NSH against published vectors: those of public code (double softmax), and of the formula (single)."""

import math

import pytest
import torch
from torch import nn

from sdc import NSH
from sdc.methods.data import Batch
from sdc.methods.nsh import soft_sort


@pytest.fixture
def batch(vectors):
    features = torch.cat([torch.from_numpy(vectors(5, 6, phase)) for phase in (0, 0.3)])
    logits = torch.cat([2 * torch.from_numpy(vectors(5, 4, phase)) for phase in (1.0, 1.3)])
    # Features stand for latent ones.
    return Batch(features, logits, auxiliary=nn.Identity())


def test_soft_sort():
    order = soft_sort(torch.tensor([[0.25, 1, 0.5]], dtype=torch.float64), 0.25)
    expected = [[0.042010, 0.843795, 0.114195], [0.244728, 0.090031, 0.665241], [0.705385, 0.035119, 0.259496]]
    assert order[0].tolist() == [pytest.approx(row, abs=1e-6) for row in expected]


def test_similarities_and_agreements(batch):
    b1, b2 = batch.logits.tanh().chunk(2)
    similarities = b1 @ b2.T / 8 + 0.5
    expected = [0.924743, 0.582325, 0.343940, 0.545715, 0.929538]
    assert similarities[0].tolist() == pytest.approx(expected, abs=1e-6)
    z1, z2 = nn.functional.normalize(batch.features).chunk(2)
    sorted_latent = soft_sort(similarities, 0.25)[0] @ z1
    expected = [0.402925, 0.408462, 0.169512, 0.198846, 0.044997]
    assert (sorted_latent @ z2[0]).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("contrast", "expected", "total"), [("double", 1.215934, 1.309204), ("single", 0.888477, 0.981748)]
)
def test_terms(batch, contrast, expected, total):
    terms = NSH(contrast=contrast).loss(batch)
    assert terms["contrast"].item() == pytest.approx(expected, abs=1e-6)
    assert terms["quantisation"].item() == pytest.approx(0.093270, abs=1e-6)
    assert sum(terms.values()).item() == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize(
    ("contrast", "expected"), [("double", 3.545), ("single", math.log(1 + 48 * math.exp(-1 / 0.3)))]
)
def test_double_softmax_scores_perfect_separation_badly(contrast, expected):
    # 50 items, two positives: those in front agree fully, those behind not at all.
    order = torch.eye(50, dtype=torch.float64).expand(50, 50, 50)
    agreement = torch.zeros(50, 50, dtype=torch.float64)
    agreement[:, :2] = 1
    assert NSH(contrast=contrast)._contrast(order, agreement).item() == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("contrast", ["single", "double"])
def test_equal_codes_score_the_logarithm_of_the_choices(contrast):
    latent = nn.functional.normalize(torch.randn(2, 5, 6, dtype=torch.float64, generator=torch.manual_seed(0)), dim=2)
    value = NSH(contrast=contrast).sorted_contrast(torch.ones(2, 5, 4, dtype=torch.float64), latent)
    assert value.item() == pytest.approx(1.386294, abs=1e-6)
