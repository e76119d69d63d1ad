import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from sdc import NSH
from sdc.errors import SDCError
from sdc.methods.data import Training
from sdc.methods.nsh import soft_sort


def draws(items, seed=0):
    """Codes and unit latent features of two views."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(2, items, 8, dtype=torch.float64, generator=generator).tanh()
    return codes, normalize(torch.randn(2, items, 6, dtype=torch.float64, generator=generator), dim=2)


def test_soft_sort_becomes_a_permutation_that_sorts():
    scores = torch.tensor([[0.2, 0.9, 0.5, 0.7]], dtype=torch.float64)
    order = soft_sort(scores, 1e-4)[0]
    assert order.tolist() == [[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0]]
    assert (order @ scores[0]).tolist() == [0.9, 0.7, 0.5, 0.2]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.floats(0.001, 10))
def test_rows_of_a_soft_permutation_sum_to_one(scores, temperature):
    order = soft_sort(torch.tensor([scores], dtype=torch.float64), temperature)
    assert order.sum(dim=2).tolist() == [pytest.approx([1] * len(scores))]


def test_ties_are_split_evenly():
    assert soft_sort(torch.full((1, 4), 0.5), 0.1).tolist() == [[[0.25] * 4] * 4]


def test_contrast_is_that_of_the_sorted_latent_features():
    (b1, b2), (z1, z2) = draws(6)
    order = soft_sort(b1 @ b2.T / 16 + 0.5, 1 / 8)
    agreement = torch.einsum("ijd,id->ij", order @ z1, z2) / 0.3
    expected = [
        torch.cat([agreement[i, p : p + 1], agreement[i, 2:]]).logsumexp(dim=0) - agreement[i, p]
        for i in range(6)
        for p in range(2)
    ]
    value = NSH(bits=8).sorted_contrast((b1, b2), (z1, z2))
    assert value.item() == pytest.approx(sum(expected).item() / 12)


@given(st.integers(0, 1000))
def test_double_softmax_confines_the_contrast(seed):
    codes, latent = draws(5, seed)
    # One positive and three negatives: the softmax lies in [0, 1] before it is taken again.
    value = NSH(contrast="double").sorted_contrast(codes, latent).item()
    assert math.log(math.e + 3) - 1 <= value <= math.log(math.e + 3)


def test_both_directions():
    (b1, b2), (z1, z2) = draws(6)
    both, one = NSH(directions="both"), NSH()
    assert both.sorted_contrast((b1, b2), (z1, z2)).item() == pytest.approx(
        both.sorted_contrast((b2, b1), (z2, z1)).item()
    )
    # Where both views have the same codes, there is only one order, and either view can be looked for.
    halves = [one.sorted_contrast((b1, b1), latent).item() for latent in ((z1, z2), (z2, z1))]
    assert both.sorted_contrast((b1, b1), (z1, z2)).item() == pytest.approx(sum(halves) / 2)


def test_positives_leave_negatives():
    with pytest.raises(SDCError, match=r"NSH.positives: 4 leaves no negatives in a batch of 4"):
        NSH(positives=4, batch_size=4)
    assert NSH(positives=3, batch_size=4).positives == 3


def test_parameter_counts():
    count = lambda module: sum(parameter.numel() for parameter in module.parameters())  # noqa: E731
    assert count(NSH().build_head(768, 64)) == 49_216
    assert count(NSH().build_auxiliary(Training(torch.zeros(1, 768)))) == 787_456
