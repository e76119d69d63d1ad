"""SSDH against published vectors: thresholds and labels of public code, and of the fit that the paper describes."""

import pytest
import torch

from sdc import SSDH
from sdc.errors import SDCError
from sdc.methods.data import Batch
from sdc.methods.losses import Constants
from sdc.methods.ssdh import pseudo_labels

# The left edge of the fullest bin of distances.
MODE = 0.25 - 1e-8


@pytest.fixture
def features(vectors):
    return torch.from_numpy(1.2 + vectors(300, 16, 0))


@pytest.fixture
def logits(vectors):
    return torch.from_numpy(vectors(300, 4, 1.0))


def counts(method, features):
    labels = pseudo_labels(features, *method.thresholds(features))
    return int((labels == 1).sum()), int((labels == -1).sum())


def structure(method, features, logits, rows):
    near, far = method.thresholds(features)
    auxiliary = Constants(near=torch.tensor(near), far=torch.tensor(far))
    return method.loss(Batch(features[:rows], logits[:rows], auxiliary=auxiliary))["structure"].item()


def test_public_labels_and_loss(features, logits):
    method = SSDH.preset("code")
    near, far = method.thresholds(features)
    assert [(MODE - near) / 2, (far - MODE) / 2] == pytest.approx([0.073123, 0.087989], abs=1e-6)
    assert [near, far] == pytest.approx([0.103754, 0.425979], abs=1e-6)
    # The 300 of the diagonal are among the near ones.
    assert counts(method, features) == (2090, 2688)
    assert structure(method, features, logits, 300) == pytest.approx(0.051903, abs=1e-6)
    assert structure(method, features, logits, 8) == pytest.approx(0.071508, abs=1e-6)


def test_labels_and_loss_without_the_diagonal(features, logits):
    method = SSDH()
    near, far = method.thresholds(features)
    assert (MODE - near) / 2 == pytest.approx(0.070348, abs=1e-6)
    assert [near, far] == pytest.approx([0.109303, 0.425979], abs=1e-6)
    assert counts(method, features) == (2248, 2688)
    assert structure(method, features, logits, 300) == pytest.approx(0.053682, abs=1e-6)
    assert structure(method, features, logits, 8) == pytest.approx(0.071508, abs=1e-6)


@pytest.mark.parametrize(
    ("mirror", "alpha", "expected"),
    [("constant", 1.5, (4354, 2688)), ("weights", 1.5, (4354, 1088)), ("constant", 3.0, (698, 462))],
)
def test_mirror(features, mirror, alpha, expected):
    beta = max(alpha, 2.0)
    method = SSDH(diagonal="included", mirror=mirror, alpha=alpha, beta=beta)
    assert counts(method, features) == expected


def test_mirror_that_moves_with_the_weights_finds_nothing_near(features):
    # Public code goes on with 0 near and 16 far labels.
    with pytest.raises(SDCError, match="SSDH finds 0 near and 16 far pairs"):
        SSDH(diagonal="included", mirror="weights", alpha=3.0, beta=3.0).thresholds(features)


def test_loss_with_given_labels(vectors):
    logits = torch.from_numpy(vectors(3, 4, 1.0))
    codes = torch.tanh(logits)
    expected = [[0.468424, 0.126688, -0.162538], [0.126688, 0.315318, 0.033143], [-0.162538, 0.033143, 0.168620]]
    assert (codes @ codes.T / 4).tolist() == [pytest.approx(row, abs=1e-6) for row in expected]
    # Unit vectors at 0, 45 and 100 degrees: the first two are near, the outer ones far, the last two neither.
    angles = torch.deg2rad(torch.tensor([0.0, 45.0, 100.0], dtype=torch.float64))
    features = torch.stack([angles.cos(), angles.sin()], dim=1)
    near, far = torch.tensor(0.4), torch.tensor(1.0)
    assert pseudo_labels(features, near, far).tolist() == [[1, 1, -1], [1, 1, 0], [-1, 0, 1]]
    terms = SSDH().loss(Batch(features, logits, auxiliary=Constants(near=near, far=far)))
    assert terms["structure"].item() == pytest.approx(0.485621, abs=1e-6)
