import pytest
import torch

from sdc import GreedyHash
from sdc.methods.data import Batch


def loss(features, logits, **settings):
    return GreedyHash(**settings).loss(Batch(torch.tensor(features), torch.tensor(logits)))


def test_worked_by_hand():
    # Codes (1, -1) and (1, 1) have cosine 0, the features 1 / sqrt 2; the penalty is (1/8 + 1 + 0 + 0) / 4 = 0.28125.
    terms = loss([[1.0, 0.0], [1.0, 1.0]], [[0.5, -2.0], [1.0, 1.0]])
    assert terms["pairs"].item() == pytest.approx(0.5)
    assert terms["penalty"].item() == pytest.approx(0.1 * 0.28125)


def test_scale_of_the_features_does_not_matter():
    logits = [[0.5, -2.0], [1.0, 1.0]]
    one, three = (loss([[scale, 0.0], [scale, scale]], logits)["pairs"].item() for scale in (1.0, 3.0))
    assert one == pytest.approx(three)


def test_no_penalty_for_logits_that_are_signs():
    assert loss([[1.0, 0.0], [1.0, 1.0]], [[1.0, -1.0], [1.0, 1.0]])["penalty"] == 0


def test_identical_codes_send_no_gradient_through_their_pair():
    logits = torch.tensor([[0.5, -2.0], [0.1, -0.3]], requires_grad=True)
    GreedyHash().loss(Batch(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), logits))["pairs"].backward()
    assert logits.grad.abs().max() < 1e-7


def test_parameter_count():
    assert sum(parameter.numel() for parameter in GreedyHash().build_head(768, 64).parameters()) == 49_216
