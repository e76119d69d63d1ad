"""SDC against published vectors, which come from the authors' code in float64 (non-Beta: independent scripts)."""

import pytest
import torch

from sdc.methods.losses import SDCLoss, half_split_cosines, quantisation_gap, signs


@pytest.fixture
def pair(vectors):
    logits = torch.from_numpy(vectors(8, 4, 1.0)).requires_grad_()
    return torch.from_numpy(vectors(8, 6, 0)), logits


def test_inputs(pair):
    features, logits = pair
    printed = [0.841471, -0.756802, 0.412118, -0.287903, -0.132352, -0.991779]
    assert features[0].tolist() == pytest.approx(printed, abs=1e-6)
    assert logits[7].tolist() == pytest.approx([0.053144, 0.594860, 0.623059, 0.745173], abs=1e-6)


def test_pair_cosines(pair):
    features, logits = pair
    assert torch.argsort(half_split_cosines(features)).tolist() == [1, 0, 2, 3]
    assert half_split_cosines(signs(logits)).tolist() == [1, -0.5, -0.5, 0]
    assert half_split_cosines(features).tolist() == pytest.approx([0.004306, -0.393964, 0.106487, 0.205675], abs=1e-6)
    assert half_split_cosines(logits).tolist() == pytest.approx([0.995973, -0.397417, -0.292619, -0.046383], abs=1e-6)


def test_loss_and_gradient(pair):
    features, logits = pair
    terms = SDCLoss()(features, logits)
    assert terms["calibration"].item() == pytest.approx(0.484614, abs=1e-6)
    assert terms["quantisation"].item() == pytest.approx(0.045068, abs=1e-6)
    total = sum(terms.values())
    assert total.item() == pytest.approx(0.529682, abs=1e-6)
    total.backward()
    assert logits.grad[0].tolist() == pytest.approx([-0.004666, -0.006944, 0.003545, 0.000508], abs=1e-6)
    assert logits.grad.norm().item() == pytest.approx(0.486008, abs=1e-6)


@pytest.mark.parametrize(
    ("pairs", "upper"),
    [(2, [0.216072]), (4, [0.103032, 0.360262]), (8, [0.050970, 0.157473, 0.281734, 0.467935])],
)
def test_targets(pair, pairs, upper):
    expected = [-target for target in reversed(upper)] + upper
    assert SDCLoss().targets(pairs, pair[1]).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("beta(10,10)", 0.469124),
        ("gaussian(0.3)", 0.480851),
        ("laplace", 0.463295),
        ("triangular", 0.551377),
        ("beta(2,2)", 0.597454),
        ("uniform", 0.734390),
        ("arcsine", 0.887671),
        ("beta(2,5)", 0.510524),
    ],
)
def test_calibrations(pair, name, expected):
    assert SDCLoss(name)(*pair)["calibration"].item() == pytest.approx(expected, abs=1e-6)


def test_clamped_targets(pair):
    assert SDCLoss(clamp_targets=True)(*pair)["calibration"].item() == pytest.approx(0.548921, abs=1e-6)


def test_squared_error(pair):
    assert SDCLoss(pair_loss="l2")(*pair)["calibration"].item() == pytest.approx(0.382773, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "expected"), [("cosine", 0.045068), ("l1", 0.332637), ("l2", 0.173643), ("cubic", 0.109786)]
)
def test_quantisation_kinds(pair, kind, expected):
    assert quantisation_gap(pair[1], kind).item() == pytest.approx(expected, abs=1e-6)
