import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdc import SSDH
from sdc.errors import SDCError
from sdc.methods import ssdh
from sdc.methods.data import Batch
from sdc.methods.losses import Constants
from sdc.methods.ssdh import pseudo_labels


@pytest.fixture
def features(vectors):
    return torch.from_numpy(1.2 + vectors(200, 16, 0))


def loss(features, logits, near, far, **settings):
    auxiliary = Constants(near=torch.tensor(near), far=torch.tensor(far))
    return SSDH(**settings).loss(Batch(features, logits, auxiliary=auxiliary))["structure"]


def test_thresholds_are_those_of_gaussians_fitted_to_mirrored_distances(features):
    unit = torch.nn.functional.normalize(features).numpy()
    distances = (1 - unit @ unit.T)[np.triu_indices(200, 1)]
    counts, edges = np.histogram(distances, bins=200, range=(-1e-8, 2 - 1e-8))
    mode = edges[counts.argmax()]
    sides = distances[distances <= mode], distances[distances > mode]
    fits = [np.concatenate([side, 2 * mode - side]) for side in sides]
    expected = fits[0].mean() - 1.5 * fits[0].std(), fits[1].mean() + 1.2 * fits[1].std()
    assert SSDH(alpha=1.5, beta=1.2).thresholds(features) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("diagonal", ["excluded", "included"])
def test_blocks_and_scale_do_not_matter(features, diagonal, monkeypatch):
    method = SSDH(diagonal=diagonal)
    expected = method.thresholds(features)
    assert method.thresholds(2 * features) == pytest.approx(expected, abs=1e-12)
    monkeypatch.setattr(ssdh, "BLOCK_ROWS", 7)
    assert method.thresholds(features) == pytest.approx(expected, abs=1e-12)


def test_zero_distances_of_the_diagonal_can_hide_every_mode(vectors):
    # Eight rows whose distances are spread wider than the eight zeros: nothing is near, not even a row to itself.
    with pytest.raises(SDCError, match="SSDH finds 0 near and .* far pairs .*; lower alpha and beta"):
        SSDH(diagonal="included").thresholds(torch.from_numpy(vectors(8, 6, 0)))


def test_items_without_structure_are_refused(vectors):
    with pytest.raises(SDCError, match="SSDH finds 0 near and 0 far pairs among the training items"):
        SSDH(epochs=1, batch_size=8).fit(np.eye(16, dtype=np.float32))


@given(st.integers(0, 1000), st.floats(-0.1, 1), st.floats(0, 1))
def test_labels_are_symmetric_with_ones_on_the_diagonal(seed, near, gap):
    rows = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    labels = pseudo_labels(rows, near, near + gap)
    assert torch.equal(labels, labels.T)
    assert labels.diagonal().tolist() == [1] * 7
    assert set(labels.ravel().tolist()) <= {-1, 0, 1}


def test_codes_that_reproduce_the_labels_cost_nothing():
    features = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0]])
    logits = 50 * torch.tensor([[1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])
    assert loss(features, logits, 0.5, 1.5).item() == 0
    assert loss(features, -logits.roll(1, dims=0), 0.5, 1.5).item() > 1


def test_unclear_pairs_have_no_part():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    total = loss(torch.randn(5, 3, generator=torch.Generator().manual_seed(1)), logits, -1.0, 3.0)
    codes = torch.tanh(logits.detach())
    # What is left is each row with itself.
    assert total.item() == pytest.approx(((codes.square().mean(dim=1) - 1) ** 2).sum().item() / 25)


def test_reduction_over_labelled_pairs(features):
    logits = torch.randn(200, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    near, far = SSDH().thresholds(features)
    share = pseudo_labels(features, near, far).abs().mean().item()
    whole, labelled = (loss(features, logits, near, far, reduction=kind).item() for kind in ("all", "labelled"))
    assert labelled == pytest.approx(whole / share)


def test_start_near_zero():
    (linear,) = SSDH(initial_deviation=0.001).build_head(768, 64)
    assert linear.weight.std().item() == pytest.approx(0.00088, abs=2e-5)  # of a normal law cut at two deviations
    assert linear.weight.abs().max() <= 0.002
    assert 0 < linear.bias.abs().max() <= 0.002


def test_parameter_count():
    assert sum(parameter.numel() for parameter in SSDH().build_head(768, 64).parameters()) == 49_216
