import math

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from sdc import CIMON
from sdc.errors import SDCError
from sdc.methods.cimon import pair_guidance, spectral_clusters
from sdc.methods.data import Batch, Training
from sdc.methods.losses import Constants, nt_xent


def guide(vectors, phase, labels=(0, 0, 1, 1, 1), threshold=0.6, mode=0.9):
    unit = torch.nn.functional.normalize(torch.from_numpy(vectors(5, 4, phase)))
    constants = {"threshold": threshold, "mode": mode, "below": 0.2, "above": 0.3}
    return Constants(unit=unit, labels=torch.tensor(labels), **constants).double()


def normal(value, mean, deviation):
    return (1 + math.erf((value - mean) / deviation / math.sqrt(2))) / 2


def plain(constants, i, j):
    """Sign and weight of a pair, as the sheet of the method has them."""
    distance = 1 - sum(a * b for a, b in zip(constants.unit[i].tolist(), constants.unit[j].tolist(), strict=True))
    threshold, mode, below, above = (
        getattr(constants, name).item() for name in ("threshold", "mode", "below", "above")
    )
    if distance <= threshold:
        tail = normal(threshold, mode, below)
        sign, confidence = 1, (tail - normal(distance, mode, below)) / tail
    else:
        tail = normal(threshold, mode, above)
        sign, confidence = -1, (normal(distance, mode, above) - tail) / (1 - tail)
    together = constants.labels[i].item() == constants.labels[j].item()
    return sign, confidence if together == (sign > 0) else 0


@pytest.mark.parametrize("threshold", [0.1, 0.6, 1.2])
def test_signs_and_weights_are_those_of_a_plain_loop(vectors, threshold):
    constants = guide(vectors, 0, threshold=threshold)
    signs, weights = pair_guidance(constants, torch.arange(5))
    for i in range(5):
        for j in range(5):
            assert (signs[i, j].item(), weights[i, j].item()) == pytest.approx(plain(constants, i, j), abs=1e-9)


def test_loss_is_that_of_a_plain_loop(vectors):
    guides = torch.nn.ModuleList([guide(vectors, 0), guide(vectors, 1, labels=(2, 0, 2, 1, 0))])
    index = torch.tensor([4, 0, 2])
    logits = torch.from_numpy(vectors(6, 8, 2))
    terms = CIMON(bits=8).loss(Batch(logits, logits, index=index, auxiliary=guides))
    total = 0.0
    for view in (logits[:3].tanh().tolist(), logits[3:].tanh().tolist()):
        for constants in guides:
            for i in range(3):
                for j in range(3):
                    sign, weight = plain(constants, index[i].item(), index[j].item())
                    product = sum(a * b for a, b in zip(view[i], view[j], strict=True)) / 8
                    total += weight * (product - sign) ** 2 / 9
    assert terms["guidance"].item() == pytest.approx(total, abs=1e-9)
    contrast = nt_xent(logits[:3].tanh(), logits[3:].tanh(), 0.5)
    assert terms["contrast"].item() == pytest.approx(0.3 * contrast.item())


def test_a_tail_too_small_for_a_quotient_has_weights_all_the_same(vectors):
    _, weights = pair_guidance(guide(vectors, 0, threshold=0.1, mode=8.0).float(), torch.arange(5))
    assert torch.isfinite(weights).all()
    assert weights.diagonal().numpy() == pytest.approx(1)
    assert ((weights >= 0) & (weights <= 1)).all()


def test_thresholds_are_of_gaussians_about_the_mode(vectors):
    rows = torch.from_numpy(1.2 + vectors(200, 16, 0))
    unit = torch.nn.functional.normalize(rows).numpy()
    distances = (1 - unit @ unit.T)[np.triu_indices(200, 1)]
    counts, edges = np.histogram(distances, bins=200, range=(-1e-8, 2 - 1e-8))
    mode = edges[counts.argmax()]
    sides = [distances[distances <= mode], distances[distances > mode]]
    below, above = (np.concatenate([side, 2 * mode - side]).std() for side in sides)
    ours, public = (CIMON(threshold=threshold, clusters=5).guide(rows) for threshold in (None, 0.1))
    values = [getattr(ours, name).item() for name in ("mode", "below", "above", "threshold")]
    assert values == pytest.approx([mode, below, above, mode - 2 * below], abs=1e-6)
    assert public.threshold.item() == pytest.approx(0.1)


def test_guides_are_of_the_first_two_views(vectors):
    views = torch.from_numpy(np.stack([1.2 + vectors(40, 6, phase) for phase in range(3)], axis=1))
    guides = CIMON(clusters=4, neighbours=5).build_auxiliary(Training(views[:, 2], views=views))
    for view in (0, 1):
        expected = torch.nn.functional.normalize(views[:, view])
        assert guides[view].unit.numpy() == pytest.approx(expected.numpy())


def test_clusters_far_from_each_other_are_found():
    draw = np.random.default_rng(0)
    truth = np.repeat(np.arange(5), 20)
    features = draw.standard_normal((5, 12))[truth] * 5 + draw.standard_normal((100, 12))
    labels = spectral_clusters(features, 5, 10, seed=0)
    assert adjusted_rand_score(truth, labels) == 1
    assert np.array_equal(spectral_clusters(features, 5, 10, seed=0), labels)


def test_as_many_clusters_as_items_are_refused(vectors):
    views = torch.from_numpy(vectors(8, 4, 0).reshape(4, 2, 4))
    with pytest.raises(SDCError, match=r"^CIMON needs more training items than clusters, got 4 for 4; use fewer"):
        CIMON(clusters=4).build_auxiliary(Training(views[:, 0], views=views))


def test_original_is_the_authors_code():
    method = CIMON.preset("original", bits=16)
    assert (method.optimiser, method.threshold, method.batch_size, method.epochs) == ("sgd", 0.1, 24, 150)
