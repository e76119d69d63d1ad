import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdc import DPN
from sdc.methods.data import Batch, Training
from sdc.methods.losses import Constants


def loss(logits, codes, labels, **settings):
    batch = Batch(logits, logits, labels=labels, auxiliary=Constants(codes=codes))
    return DPN(**settings).loss(batch)["polarisation"]


@pytest.fixture
def classes():
    """Target codes of three classes and the labels of five items, one each."""
    codes = torch.where(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)) > 0, 1.0, -1.0)
    return codes, torch.eye(3)[[0, 2, 1, 1, 0]]


@given(st.floats(0.1, 5))
def test_on_the_margin_in_the_middle_and_on_the_wrong_side(margin):
    codes, labels = torch.tensor([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, 1.0, 1.0]]), torch.eye(2)
    for share, expected in [(1, 0), (0, 4 * margin), (-1, 8 * margin)]:
        value = loss(share * margin * codes, codes, labels, margin=margin)
        assert value.item() == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_nothing_is_gained_beyond_the_margin(classes):
    codes, labels = classes
    logits = (3 * labels @ codes).requires_grad_()
    total = loss(logits, codes, labels)
    total.backward()
    assert total == 0
    assert logits.grad.abs().max() == 0


def test_several_classes_each_pull(classes):
    codes, _ = classes
    logits = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    both = torch.eye(3)[[0]] + torch.eye(3)[[1]]
    separate = sum(loss(logits[:1], codes, torch.eye(3)[[label]]).item() for label in (0, 1))
    assert loss(logits[:1], codes, both).item() == pytest.approx(separate)


def test_items_without_a_class_contribute_nothing(classes):
    codes, labels = classes
    logits = torch.randn(5, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
    labels[4] = 0
    total = loss(logits, codes, labels)
    total.backward()
    assert total.item() == pytest.approx(4 / 5 * loss(logits[:4], codes, labels[:4]).item())
    assert logits.grad[4].abs().max() == 0


def test_mean_over_bits(classes):
    codes, labels = classes
    logits = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    summed, mean = (loss(logits, codes, labels, bit_reduction=kind).item() for kind in ("sum", "mean"))
    assert mean == pytest.approx(summed / 8)


@pytest.mark.parametrize("targets", ["orthogonal", "bernoulli"])
def test_target_codes_belong_to_the_seed(targets):
    training = Training(torch.zeros(4, 2), labels=torch.eye(4))
    codes = [DPN(bits=16, targets=targets, seed=seed).build_auxiliary(training).codes for seed in (0, 0, 1)]
    assert codes[0].shape == (4, 16)
    assert torch.equal(codes[0], codes[1])
    assert not torch.equal(codes[0], codes[2])


def test_head_has_no_bias_and_takes_centred_features():
    assert sum(parameter.numel() for parameter in DPN().build_head(768, 64).parameters()) == 49_152
    assert DPN().inputs == "centred"
