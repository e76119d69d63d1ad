"""GreedyHash against published vectors, which come from public code in float64."""

import pytest
import torch

from sdc import GreedyHash
from sdc.methods.data import Batch


@pytest.fixture
def batch(vectors):
    return Batch(torch.from_numpy(vectors(8, 6, 0)), torch.from_numpy(vectors(8, 4, 1.0)).requires_grad_())


def test_terms_and_gradient(batch):
    terms = GreedyHash().loss(batch)
    assert terms["pairs"].item() == pytest.approx(0.353195, abs=1e-6)
    assert terms["penalty"].item() == pytest.approx(0.1 * 0.109786, abs=1e-6)
    total = sum(terms.values())
    assert total.item() == pytest.approx(0.364173, abs=1e-6)
    total.backward()
    expected = [-7.7128e-05, 1.5818e-05, 1.949220e-03, 1.3970e-05]
    assert batch.logits.grad[0].tolist() == pytest.approx(expected, abs=1e-6)
    assert batch.logits.grad.norm().item() == pytest.approx(0.201748, abs=1e-6)


def test_weight_of_the_penalty(batch):
    assert sum(GreedyHash(penalty=1.0).loss(batch).values()).item() == pytest.approx(0.462980, abs=1e-6)


@pytest.mark.parametrize(("rows", "expected"), [(7, 0.619350), (6, 0.619817)])
def test_last_row_of_an_odd_batch_is_in_the_penalty_alone(batch, rows, expected):
    part = Batch(batch.features[:rows], batch.logits[:rows])
    assert sum(GreedyHash().loss(part).values()).item() == pytest.approx(expected, abs=1e-6)
