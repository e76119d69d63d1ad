"""OrthoHash against published vectors, which come from the authors' code in float64."""

import itertools

import pytest
import torch

from sdc import OrthoHash
from sdc.methods.data import Batch
from sdc.methods.losses import Constants


@pytest.fixture
def batch(vectors):
    codes = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [-1, -1, 1, 1]], dtype=torch.float64)
    labels = torch.eye(3, dtype=torch.float64)[torch.arange(8) % 3]
    logits = (1.5 * torch.from_numpy(vectors(8, 4, 1.0))).requires_grad_()
    return Batch(logits.detach(), logits, labels=labels, auxiliary=Constants(codes=codes))


def test_cosines(batch):
    # Without margin and scale the loss of class c is a constant less the cosine with its code.
    given = {"features": batch.features[:1], "logits": batch.logits[:1], "auxiliary": batch.auxiliary}
    rows = [Batch(**given, labels=label[None]) for label in torch.eye(3)]
    losses = [OrthoHash(margin=0, scale=1).loss(row)["classification"].item() for row in rows]
    cosines = [-0.451423, 0.663499, -0.422610]
    for one, other in itertools.combinations(range(3), 2):
        assert losses[other] - losses[one] == pytest.approx(cosines[one] - cosines[other], abs=2e-6)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"scale": 2}, 2.138848),
        ({}, 2.138848),  # the root of four bits
        ({"scale": 8}, 6.843266),
        ({"scale": 8, "margin": 0.3}, 7.498401),
        ({"scale": 8, "margin_kind": "arc"}, 6.728519),
    ],
)
def test_classification(batch, settings, expected):
    assert OrthoHash(**settings).loss(batch)["classification"].item() == pytest.approx(expected, abs=1e-6)


def test_gradient(batch):
    OrthoHash(scale=2).loss(batch)["classification"].backward()
    assert batch.logits.grad.norm().item() == pytest.approx(0.299555, abs=1e-6)


def test_items_of_two_classes(batch):
    batch.labels[0, 1] = batch.labels[5, 0] = 1
    assert OrthoHash(scale=2).loss(batch)["classification"].item() == pytest.approx(1.808697, abs=1e-6)


def test_quantisation(batch):
    terms = OrthoHash(quantisation=1.0).loss(batch)
    assert terms["quantisation"].item() == pytest.approx(0.045068, abs=1e-6)
