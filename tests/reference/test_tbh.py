"""TBH against published vectors, which come from a PyTorch port of the authors' code in float64."""

import math

import pytest
import torch
from torch import nn

from sdc import TBH
from sdc.methods.data import Batch
from sdc.methods.losses import straight_through
from sdc.methods.tbh import adversary_loss, bottleneck, critic_loss, laplacian


@pytest.fixture
def logits(vectors):
    return torch.from_numpy(vectors(4, 4, 1.0)).requires_grad_()


@pytest.fixture
def bits(logits):
    return straight_through((logits > 0).to(logits.dtype), logits.sigmoid())


def test_graph(bits):
    assert ["".join(str(int(bit)) for bit in row) for row in bits.tolist()] == ["1000", "1001", "1111", "1100"]
    graph = laplacian(bits).detach()
    assert graph[0].tolist() == pytest.approx([0.403138, 0.272482, 0.066115, 0.272482], abs=1e-6)
    assert graph[2, 2].item() == pytest.approx(0.525916, abs=1e-6)
    # The adjacency has ones on its diagonal, so the graph's diagonal holds the degrees.
    scale = graph.diagonal().sqrt()
    adjacency = graph / scale[:, None] / scale
    assert adjacency[0].tolist() == pytest.approx([1, 0.668476, 0.143587, 0.668476], abs=1e-6)
    assert adjacency[1, 2].item() == pytest.approx(0.378929, abs=1e-6)
    distances = 4 * (1 - adjacency ** (1 / 1.4))
    assert distances.round().int().tolist() == [[0, 1, 3, 1], [1, 0, 2, 2], [3, 2, 0, 2], [1, 2, 2, 0]]
    assert distances == pytest.approx(distances.round(), abs=1e-6)


def test_bottleneck(bits, vectors):
    values = bottleneck(laplacian(bits), torch.from_numpy(vectors(4, 6, 0)))
    expected = [0.528887, 0.444196, 0.546030, 0.433551, 0.615909, 0.309654]
    assert values[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_gradient_of_the_bits(bits, logits, vectors):
    bits.backward(torch.from_numpy(vectors(4, 4, 2.0)))
    assert logits.grad[0].tolist() == pytest.approx([0.028886, -0.055970, -0.232376, -0.150266], abs=1e-6)


@pytest.mark.parametrize(("reconstruction", "expected"), [("sum", 0.869400), ("item", 0.217350), ("mean", 0.036225)])
def test_reconstruction(logits, vectors, reconstruction, expected):
    class Decoded(nn.Module):
        def forward(self, values):
            return torch.from_numpy(vectors(4, 6, 0.9))

    layers = {"continuous": (3, 5), "convolution": (5, 5), "bit_critic": (4, 1), "value_critic": (5, 1)}
    network = nn.ModuleDict({name: nn.Linear(*sizes).double() for name, sizes in layers.items()})
    network["decoder"] = Decoded()
    hidden = torch.zeros(4, 3, dtype=torch.float64)
    batch = Batch(torch.from_numpy(vectors(4, 6, 0.5)), logits, hidden, auxiliary=network)
    terms = TBH(reconstruction=reconstruction).loss(batch)
    assert terms["reconstruction"].item() == pytest.approx(expected, abs=1e-6)


def test_critics_and_adversary():
    logit = lambda score: torch.tensor([math.log(score / (1 - score))], dtype=torch.float64)  # noqa: E731
    scores = [(0.6, 0.3), (0.7, 0.45)]
    losses = [critic_loss(logit(real), logit(fake)).item() for real, fake in scores]
    assert losses == pytest.approx([0.867501, 0.954512], abs=1e-6)
    assert sum(losses) == pytest.approx(1.822013, abs=1e-6)
    # The authors' encoder minimises R - J; the part of J that it cannot change, -log of the real scores, is left out.
    saturating = sum(adversary_loss(logit(fake), "saturating").item() for _, fake in scores)
    unchanged = sum(math.log(real) for real, _ in scores)
    assert 0.869400 + saturating + unchanged == pytest.approx(-0.952612, abs=2e-6)
    other = sum(adversary_loss(logit(fake), "non_saturating").item() for _, fake in scores)
    assert other == pytest.approx(-math.log(0.3) - math.log(0.45), abs=1e-9)
