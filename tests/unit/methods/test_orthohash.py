import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import hadamard

from sdc import OrthoHash
from sdc.methods.data import Batch
from sdc.methods.losses import Constants

CODES = torch.from_numpy(hadamard(4)).double()


def loss(logits, labels, codes=CODES, **settings):
    batch = Batch(logits, logits, labels=labels, auxiliary=Constants(codes=codes))
    return OrthoHash(**settings).loss(batch)["classification"]


@pytest.fixture
def logits():
    return torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def labels():
    return torch.eye(4)[[0, 1, 2, 3, 0, 1]]


@given(st.floats(0.1, 20), st.floats(0, 1), st.floats(0.01, 100))
def test_perfect_codes_of_orthogonal_classes(scale, margin, length):
    value = loss(length * CODES, torch.eye(4), scale=scale, margin=margin).item()
    assert value == pytest.approx(math.log(1 + 3 * math.exp(-scale * (1 - margin))), rel=1e-6)


def test_perfect_codes_worked_by_hand():
    assert loss(CODES, torch.eye(4), scale=2, margin=0.2).item() == pytest.approx(0.473553, abs=1e-6)


@pytest.mark.parametrize("kind", ["cosine", "arc"])
def test_gradient_is_orthogonal_to_the_logits(logits, labels, kind):
    logits.requires_grad_()
    loss(logits, labels, margin_kind=kind).backward()
    assert (logits.grad * logits).sum(dim=1).detach() == pytest.approx([0] * 6, abs=1e-12)
    assert logits.grad.norm() > 0.01


def test_both_margins_agree_where_there_is_none(logits, labels):
    cosine, arc = (loss(logits, labels, margin=0.0, margin_kind=kind).item() for kind in ("cosine", "arc"))
    assert cosine == pytest.approx(arc, abs=1e-12)


def test_margin_makes_it_harder(logits, labels):
    for kind in ("cosine", "arc"):
        values = [loss(logits, labels, margin=margin, margin_kind=kind).item() for margin in (0.0, 0.2, 0.4)]
        assert values == sorted(values)
        assert values[0] < values[2]


def test_scale_is_the_root_of_the_code_length(logits, labels):
    assert loss(logits, labels) == loss(logits, labels, scale=2.0)


def test_items_without_a_class_contribute_nothing(logits, labels):
    labels[5] = 0
    logits.requires_grad_()
    total = loss(logits, labels)
    total.backward()
    assert total.item() == pytest.approx(5 / 6 * loss(logits[:5], labels[:5]).item())
    assert logits.grad[5].abs().max() == 0


@pytest.mark.parametrize("kind", ["cosine", "arc"])
def test_zero_and_perfect_logits_keep_everything_finite(labels, kind):
    logits = torch.cat([torch.zeros(2, 4, dtype=torch.float64), CODES]).requires_grad_()
    total = loss(logits, labels[[0, 1, 0, 1, 2, 3]], margin_kind=kind)
    total.backward()
    assert torch.isfinite(total)
    assert torch.isfinite(logits.grad).all()


def test_parameter_count():
    head = OrthoHash().build_head(768, 64)
    assert sum(parameter.numel() for parameter in head.parameters()) == 49_280
    assert head[0].bias is None
