import math

import pytest
import torch

from sdc.errors import SDCError
from sdc.methods.losses import SDCLoss, half_split_cosines, quantisation_gap, signs


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    return draw(12, 7), draw(12, 8)


def total(features, logits, **settings):
    return sum(SDCLoss(**settings)(features, logits).values()).item()


def test_zero_counts_as_minus_one():
    assert signs(torch.tensor([-0.5, 0.0, 0.5])).tolist() == [-1, -1, 1]


def test_calibration_worked_by_hand():
    # Uniform targets of two pairs are -0.5 and 0.5; t = (.9, .1), s = (.2, .4), so |.4 + .5| / 2 + |.2 - .5| / 2 = 0.6.
    unit = lambda cosines: torch.tensor([[c, math.sqrt(1 - c * c)] for c in cosines], dtype=torch.float64)  # noqa: E731
    axis = torch.tensor([[1.0, 0.0]] * 2, dtype=torch.float64)
    terms = SDCLoss("uniform")(torch.cat([axis, unit([0.9, 0.1])]), torch.cat([axis, unit([0.2, 0.4])]))
    assert terms["calibration"].item() == pytest.approx(0.6)


def test_loss_is_zero_where_ranked_similarities_are_the_quantiles():
    criterion = SDCLoss(quantisation=0)
    targets = criterion.targets(3, torch.zeros(6, 2, dtype=torch.float64))
    axis = torch.tensor([[1.0, 0.0]] * 3, dtype=torch.float64)
    logits = torch.cat([axis, torch.stack([targets, (1 - targets**2).sqrt()], dim=1)])
    features = logits + 0  # in the same order
    assert criterion(features, logits)["calibration"].item() == pytest.approx(0, abs=1e-12)


def test_scale_of_a_row_does_not_matter(pair):
    features, logits = pair
    factors = torch.linspace(0.1, 9, 12, dtype=torch.float64)[:, None]
    assert total(features, logits * factors) == pytest.approx(total(features, logits))


def test_only_the_order_of_feature_similarities_matters(pair):
    features, logits = pair
    # Scaling pairs' cosines by 1/2: each first row gets a component orthogonal to everything.
    half = len(features) // 2
    unit = torch.nn.functional.normalize(features, dim=1)
    stretched = torch.cat([unit, torch.zeros(12, 1, dtype=torch.float64)], dim=1)
    stretched[:half, -1] = math.sqrt(3)
    assert half_split_cosines(stretched).tolist() == pytest.approx((half_split_cosines(features) / 2).tolist())
    assert total(stretched, logits) == pytest.approx(total(features, logits))


def test_pairs_may_change_places(pair):
    features, logits = pair
    order = torch.randperm(6, generator=torch.Generator().manual_seed(1))
    rows = torch.cat([order, order + 6])
    assert total(features[rows], logits[rows]) == pytest.approx(total(features, logits))


def test_last_row_of_an_odd_batch_is_left_out(pair):
    features, logits = pair
    assert total(features[:7], logits[:7]) == total(features[:6], logits[:6])


def test_one_sided_punishes_only_what_is_above(pair):
    below = SDCLoss(pair_loss="one_sided", quantisation=0)
    features, logits = pair
    excess = half_split_cosines(logits)[torch.argsort(half_split_cosines(features))] - below.targets(6, logits)
    assert below(features, logits)["calibration"].item() == pytest.approx(excess.clamp_min(0).mean().item())


def test_quantisation_is_zero_only_for_equal_magnitudes():
    assert quantisation_gap(torch.tensor([[2.0, -2.0], [0.5, 0.5]])).item() == pytest.approx(0, abs=1e-6)
    assert quantisation_gap(torch.tensor([[2.0, -1.0]])).item() > 0.01


def test_targets_sum_to_zero_and_are_made_once(pair):
    criterion = SDCLoss()
    first = criterion.targets(16, pair[1])
    assert first.sum().item() == pytest.approx(0, abs=1e-12)
    assert criterion.targets(16, pair[1]) is first


def test_no_gradient_reaches_the_features(pair):
    features, logits = pair[0].requires_grad_(), pair[1].requires_grad_()
    sum(SDCLoss()(features, logits).values()).backward()
    assert features.grad is None
    assert torch.isfinite(logits.grad).all()


def test_single_row_is_refused(pair):
    with pytest.raises(SDCError, match="at least two rows"):
        SDCLoss()(pair[0][:1], pair[1][:1])


def test_linear_targets_are_the_similarities_with_the_mean_and_the_deviation_of_the_law():
    features, logits = torch.randn(2, 40, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    t, s = half_split_cosines(features), half_split_cosines(logits)
    law = SDCLoss("beta(2,3)").targets(20, logits)
    targets = law.mean() + (t - t.mean()) * (law.std(correction=0) / t.std(correction=0))
    assert targets.abs().max() < 1
    term = SDCLoss("linear(2,3)")(features, logits)["calibration"].item()
    assert term == pytest.approx((s - targets).abs().mean().item())
    raised = SDCLoss("linear(2,3)", clamp_targets=True)(features, logits)["calibration"].item()
    assert raised == pytest.approx((s - targets.clamp_min(0)).abs().mean().item())
    # A shift or a scale of all similarities does not matter; unlike with a law, the gaps between them do.
    moved = SDCLoss("linear(2,3)")(None, logits, 5 + 3 * t)["calibration"].item()
    assert moved == pytest.approx(term)
    assert SDCLoss("linear(2,3)")(None, logits, (6 * t).exp())["calibration"].item() != pytest.approx(term, rel=1e-2)


def test_linear_is_beta_55_unless_it_says_so_and_stays_within_what_a_cosine_can_be():
    logits = torch.eye(8, dtype=torch.float64)
    similarities = torch.tensor([0.1, 0.2, 0.3, 0.9], dtype=torch.float64)
    default, wide = (SDCLoss(law)(None, logits, similarities)["calibration"] for law in ("linear", "linear(0.1,0.1)"))
    assert default == SDCLoss("linear(5,5)")(None, logits, similarities)["calibration"]
    # The largest of four may lie sqrt(3) deviations from the mean, beyond 1 for a law with so much of it at the ends.
    assert wide.item() <= 1
    # All pairs equally alike: every target is the mean, 0, as is the cosine of orthogonal logits.
    assert SDCLoss("linear")(None, logits, torch.full((4,), 0.7))["calibration"].item() == pytest.approx(0, abs=1e-12)
