import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from sdc import SDC, SDCPlus, SDCPlusFeatures, SDCSimCLR, hamming
from sdc.errors import SDCError
from sdc.methods.data import Batch, Training
from sdc.registry import PRESETS

SHIFTS = [(1, 1), (-1, 1), (1, 2), (-1, 2)]


def test_is_sdc_with_views_by_other_defaults():
    plus, published = SDCPlus(), SDCSimCLR()
    changed = {key for key, value in plus.as_dict().items() if value != getattr(published, key)}
    assert changed == {
        "similarity", "whitening", "anchor", "contrastive", "hidden", "batch_size", "learning_rate", "weight_decay",
    }  # fmt: skip
    back = SDCPlus(**{key: getattr(published, key) for key in changed})
    assert back.as_dict() == published.as_dict()


@pytest.mark.parametrize("name", PRESETS)
def test_presets_change_nothing(name):
    assert SDCPlus.preset(name) == SDCPlus()
    with pytest.raises(SDCError, match="preset: 'papers' is not known"):
        SDCPlus.preset("papers")


def test_retrieves_digits_better_than_sdc():
    scans, labels = load_digits(return_X_y=True)
    scans = (scans / 16).astype(np.float32)
    views = np.stack([np.roll(scans.reshape(-1, 8, 8), shift, axis).reshape(-1, 64) for shift, axis in SHIFTS], axis=1)
    fit, unseen = slice(0, 800), slice(800, None)

    def precision(method):
        codes = method.fit(scans[fit], views=views[fit]).encode(scans[unseen])
        nearest = hamming.distances(codes, codes).argsort(axis=1, kind="stable")[:, 1:91]
        return (labels[unseen][nearest] == labels[unseen][:, None]).mean()

    assert precision(SDCPlus(bits=32)) > precision(SDC(bits=32, hidden=1280)) + 0.03


@pytest.mark.parametrize("similarity", ["cosine", "centred", "diffusion"])
def test_partners_are_nearest_by_the_same_order(similarity, clustered, monkeypatch):
    features = torch.from_numpy(clustered(60, 12)[0] + 3)
    method = SDCPlusFeatures(bits=16, similarity=similarity)
    if similarity == "diffusion":
        # Beyond so many items the diffusion is approximated.
        monkeypatch.setattr("sdc.methods.similarity.EXACT_ITEMS", 10)
        monkeypatch.setattr("sdc.methods.similarity.EIGENVECTORS", 20)
    training = Training(features)
    auxiliary = method.build_auxiliary(training)
    partners = method.complete(training, auxiliary).partners
    assert partners.shape == (60, 4)
    for item, row in enumerate(partners.tolist()):
        others = [other for other in range(60) if other != item]
        pairs = torch.tensor([[item] * 59, others]).flatten()
        batch = Batch(features[pairs], features[pairs], index=pairs, auxiliary=auxiliary)
        targets = dict(zip(others, method.pair_targets(batch).tolist(), strict=True))
        assert item not in row
        assert [targets[other] for other in row] == pytest.approx(sorted(targets.values())[:-5:-1], abs=1e-6)


def test_two_items_have_no_neighbours_to_choose_from():
    with pytest.raises(SDCError, match="2 training items have too few neighbours; take three or more, or give views"):
        SDCPlus(bits=8, batch_size=2).fit(np.eye(2, 4))
