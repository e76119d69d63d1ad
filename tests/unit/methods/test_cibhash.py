import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdc import CIBHash
from sdc.methods.cibhash import bernoulli_divergence
from sdc.methods.data import Batch
from sdc.methods.losses import nt_xent

logits = st.lists(st.floats(-100, 100), min_size=6, max_size=6).map(
    lambda values: torch.tensor(values, dtype=torch.float64).reshape(2, 3)
)


@pytest.fixture
def views():
    draw = torch.randn(2, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return draw[0], draw[1]


def terms(first, second):
    both = torch.cat([first, second])
    return CIBHash().loss(Batch(both, both))


def test_equal_codes_score_the_logarithm_of_the_choices():
    codes = torch.ones(5, 4, dtype=torch.float64)
    assert terms(codes, 2 * codes)["contrast"].item() == pytest.approx(math.log(9))


def test_a_single_item_has_no_negatives(views):
    assert nt_xent(views[0][:1], views[1][:1], 0.3).item() == 0


def test_views_may_change_places(views):
    one, other = terms(*views), terms(*reversed(views))
    assert {name: value.item() for name, value in one.items()} == pytest.approx(
        {name: value.item() for name, value in other.items()}
    )


def test_contrast_is_between_codes_not_logits(views):
    assert terms(*views)["contrast"].item() == pytest.approx(terms(3 * views[0], views[1])["contrast"].item())


@given(logits, logits)
def test_divergence_is_not_negative_and_zero_for_the_same_law(one, other):
    assert bernoulli_divergence(one, one).item() == 0
    assert bernoulli_divergence(one, other).item() >= -1e-12


def test_divergence_is_torchs(views):
    first, second = (torch.distributions.Bernoulli(logits=view) for view in views)
    expected = torch.distributions.kl_divergence(first, second).sum(dim=1).mean()
    assert bernoulli_divergence(*views).item() == pytest.approx(expected.item())


def test_divergence_moves_its_first_law_only(views):
    first, second = (view.requires_grad_() for view in views)
    bernoulli_divergence(first, second).backward()
    assert first.grad.abs().sum() > 0
    assert second.grad is None


def test_parameter_count():
    assert sum(parameter.numel() for parameter in CIBHash().build_head(768, 64).parameters()) == 853_056
