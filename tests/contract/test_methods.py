"""What every registered method must do; a new one is covered by being registered."""

import dataclasses

import numpy as np
import pytest
import torch

import sdc
from sdc import hamming, registry
from sdc.methods.base import Batch, TrainedMethod

METHODS = [registry.load("methods", name) for name in registry.METHODS]
TRAINED = [method for method in METHODS if issubclass(method, TrainedMethod)]


def quick(method, **settings):
    """The method with settings that train in a moment."""
    if issubclass(method, TrainedMethod):
        settings = {"epochs": 2, "batch_size": 32, **settings}
        if "hidden" in {field.name for field in dataclasses.fields(method)}:
            settings["hidden"] = 24
    return method(bits=16, **settings)


@pytest.fixture(params=METHODS, ids=lambda method: method.__name__)
def method(request):
    return request.param


@pytest.fixture(params=TRAINED, ids=lambda method: method.__name__)
def trained(request):
    return request.param


def test_name_is_the_module_and_is_public(method):
    name = next(key for key, target in registry.METHODS.items() if target.endswith(f":{method.__name__}"))
    assert method.__module__ == f"sdc.methods.{name}"
    assert getattr(sdc, method.__name__) is method
    assert method.title
    assert method.source


def test_hyper_parameters_are_frozen(method):
    with pytest.raises(dataclasses.FrozenInstanceError):
        method().bits = 8


def test_same_seed_same_head_whatever_the_global_state(method, clustered):
    features, _ = clustered(200, 20)
    heads = []
    for state in (1, 2):
        torch.manual_seed(state)
        np.random.seed(state)
        heads.append(quick(method, seed=7).fit(features).head)
    assert heads[0].layers == heads[1].layers
    assert all(np.array_equal(heads[0].arrays[name], heads[1].arrays[name]) for name in heads[0].arrays)


def test_codes_are_packed_bits_and_do_not_depend_on_the_batch(method, clustered):
    features, _ = clustered(200, 20)
    fitted = quick(method).fit(features)
    codes = fitted.encode(features)
    assert (codes.shape, codes.dtype) == ((200, 2), np.uint8)
    parts = [fitted.encode(features[:1]), fitted.encode(features[1:50]), fitted.encode(features[50:])]
    assert np.array_equal(np.concatenate(parts), codes)


def test_codes_are_better_than_chance(method, clustered):
    features, labels = clustered(300, 20)
    distances = hamming.distances(*[quick(method).fit(features).encode(features)] * 2).astype(float)
    same = labels[:, None] == labels[None]
    assert distances[same].mean() < distances[~same].mean()


def test_training_rows_are_not_changed(method, clustered):
    features, _ = clustered(100, 20)
    before = features.copy()
    quick(method).fit(features)
    assert np.array_equal(features, before)


def test_numpy_codes_are_torchs(trained, clustered):
    features, _ = clustered(300, 20)
    from sdc.methods.training import export_head, train

    module, _ = train(quick(trained), torch.from_numpy(features))
    # Heads are stored in float32 with batch norm folded in: the only bits that may differ are within that rounding.
    logits = module.double()(torch.from_numpy(features).double()).detach().numpy()
    differing = hamming.unpack(export_head(module).encode(features)) != (logits > 0)
    assert np.abs(logits[differing]).max(initial=0) < 1e-5
    assert differing.mean() < 1e-3


def test_loss_is_finite_differentiable_and_knows_no_order_of_pairs(trained, vectors):
    features = torch.from_numpy(vectors(8, 6, 0))
    logits = torch.from_numpy(vectors(8, 4, 1.0)).requires_grad_()
    method = quick(trained)
    total = sum(method.loss(Batch(features, logits)).values())
    total.backward()
    assert torch.isfinite(total)
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().sum() > 0
    order = torch.tensor([2, 0, 3, 1])
    rows = torch.cat([order, order + 4])
    again = sum(method.loss(Batch(features[rows], logits[rows])).values())
    assert again.item() == pytest.approx(total.item(), abs=1e-12)


def test_head_has_the_right_shape(trained):
    module = trained().build_head(20, 24).eval()
    assert module(torch.zeros(3, 20)).shape == (3, 24)
