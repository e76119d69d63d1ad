"""SDC with its contrastive term against published vectors, which come from the authors' code in float64."""

import pytest
import torch

from sdc import SDCSimCLR
from sdc.methods.data import Batch
from sdc.methods.sdc_simclr import within_views


@pytest.fixture
def batch(vectors):
    features = torch.cat([torch.from_numpy(vectors(4, 6, phase)) for phase in (0, 0.3)])
    logits = torch.cat([torch.from_numpy(vectors(4, 4, phase)) for phase in (1.0, 1.3)])
    return Batch(features, logits)


def test_pairs_lie_inside_a_view():
    first, second = within_views(torch.arange(8)).chunk(2)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 2), (1, 3), (4, 6), (5, 7)]


@pytest.mark.parametrize(("clamped", "calibration", "total"), [(True, 0.492383, 0.993412), (False, 0.376559, 0.877588)])
def test_terms(batch, clamped, calibration, total):
    terms = SDCSimCLR(clamp_targets=clamped).loss(batch)
    assert terms["calibration"].item() == pytest.approx(calibration, abs=1e-6)
    assert terms["contrast"].item() == pytest.approx(0.434657, abs=1e-6)
    assert terms["quantisation"].item() == pytest.approx(0.066372, abs=1e-6)
    assert sum(terms.values()).item() == pytest.approx(total, abs=1e-6)
