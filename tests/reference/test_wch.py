"""WCH against published vectors: those of public code, and of the weights that the paper describes."""

import pytest
import torch

from sdc import WCH
from sdc.methods.data import Batch
from sdc.methods.wch import patch_similarity


@pytest.fixture
def tokens(vectors):
    return torch.cat([torch.from_numpy(0.5 + vectors(12, 5, phase)).reshape(4, 3, 5) for phase in (0, 0.3)])


@pytest.fixture
def batch(tokens, vectors):
    logits = torch.cat([torch.from_numpy(vectors(4, 4, phase)) for phase in (1.0, 1.3)])
    return Batch(WCH().head_input(tokens), logits)


def test_similarities_and_weights(batch):
    similarities = patch_similarity(*batch.features.chunk(2))
    expected = [
        [0.982156, 0.413158, 0.843256, 0.602666],
        [0.402551, 0.952093, 0.557939, 0.695348],
        [0.940354, 0.461157, 0.982174, 0.776995],
        [0.629313, 0.709299, 0.811575, 0.985503],
    ]
    assert similarities.tolist() == [pytest.approx(row, abs=1e-6) for row in expected]
    public = WCH(weights="public").contrast_weights(similarities)
    assert public[0].tolist() == pytest.approx([1, 0.050407, 0.656157, 0.161499], abs=1e-6)
    row = WCH(weights="row").contrast_weights(similarities)
    assert row[0].tolist() == pytest.approx([1, 0.058135, 0.499326, 0.149951], abs=1e-6)


def test_weights_of_two_images():
    similarities = torch.tensor([[1, 0.5], [0.2, 0.9]], dtype=torch.float64)
    row = WCH(weights="row").contrast_weights(similarities)
    assert [row[0, 1].item(), row[1, 0].item()] == pytest.approx([0.082085, 0.030197], abs=1e-6)
    public = WCH(weights="public").contrast_weights(similarities)
    assert [public[0, 1].item(), public[1, 0].item()] == pytest.approx([0.078149, 0.031718], abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "contrast", "total"),
    [
        ({"weights": "public"}, 3.561661, 2.874161),
        ({"weights": "row"}, 3.542898, 2.855398),
        ({"weights": "probability"}, 1.903317, 1.215817),
        ({"weights": "public", "normalise": True}, 1.934185, 1.246685),
    ],
)
def test_terms(batch, settings, contrast, total):
    terms = WCH(**settings).loss(batch)
    assert terms["contrast"].item() == pytest.approx(contrast, abs=1e-6)
    assert terms["balance"].item() == pytest.approx(-0.6875, abs=1e-6)
    assert sum(terms.values()).item() == pytest.approx(total, abs=1e-6)
