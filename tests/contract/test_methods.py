"""What every registered method must do; a new one is covered by being registered."""

import dataclasses

import numpy as np
import pytest
import torch

import sdc
from sdc import hamming, registry
from sdc.errors import SDCError
from sdc.methods.base import TrainedMethod
from sdc.methods.data import Batch, Training, membership
from sdc.methods.training import Centring

METHODS = [registry.load("methods", name) for name in registry.METHODS]
TRAINED = [method for method in METHODS if issubclass(method, TrainedMethod)]


def quick(method, **settings):
    """The method with settings that train in a moment."""
    if issubclass(method, TrainedMethod):
        settings = {"epochs": 2, "batch_size": 32, **settings}
        small = {"hidden": 24, "queue": 128}
        settings |= {field.name: small[field.name] for field in dataclasses.fields(method) if field.name in small}
    return method(bits=16, **settings)


def required(method, features, labels):
    """What ``fit`` needs besides features; views serve for tokens too."""
    given = {}
    if {"views", "tokens"} & set(method.requires):
        noise = np.random.default_rng(1).standard_normal((len(features), 3, features.shape[1]))
        given["views"] = (features[:, None] + 0.1 * noise).astype(np.float32)
    if "labels" in method.requires:
        given["labels"] = labels
    return given


@pytest.fixture
def fitted(clustered):
    """``fitted(method, items)``: the method fitted to clusters, and their features and labels."""

    def fit(method, items=200, **settings):
        features, labels = clustered(items, 20)
        return quick(method, **settings).fit(features, **required(method, features, labels)), features, labels

    return fit


@pytest.fixture
def step(clustered):
    """``step(method)``: a head and, from it, the loss of any eight of 200 items, in float64 and with equal draws."""

    def make(kind):
        features, labels = clustered(200, 20)
        tokens = features[:, None, None] + 0.1 * np.random.default_rng(2).standard_normal((200, 2, 3, 20))
        there = {"views": tokens[:, :, 0], "tokens": tokens, "labels": membership(labels)}
        arrays = {name: torch.from_numpy(values).double() for name, values in there.items() if name in kind.requires}
        training = Training(torch.from_numpy(features).double(), **arrays)
        method = quick(kind)
        torch.manual_seed(0)
        head, auxiliary = method.build_head(20, 16).double(), method.build_auxiliary(training)
        if auxiliary is not None:
            auxiliary.double()
        training = method.complete(training, auxiliary)

        def loss(items):
            views = training.views if training.tokens is None else training.tokens
            views = views if training.partners is None else training.features[training.partners]
            rows = training.features[items] if views is None else torch.cat([views[items, 0], views[items, 1]])
            rows = method.head_input(rows)
            hidden = head[:-1](rows if rows.ndim == 2 else rows.mean(dim=1))
            member = None if training.labels is None else training.labels[items]
            generator = torch.Generator().manual_seed(0)
            terms = method.loss(Batch(rows, head[-1](hidden), hidden, items, member, auxiliary, generator))
            return sum(terms.values())

        return head, loss

    return make


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
    # Beside them, others may note things on it, as scikit-learn's pipelines do.
    one = method()
    one.noted = 1
    assert one == method()


def test_requirements_are_known(method):
    assert method.requires[0] == "features"
    assert set(method.requires) <= {field.name for field in dataclasses.fields(Training)}


def test_same_seed_same_head_whatever_the_global_state(method, fitted):
    heads = []
    for state in (1, 2):
        torch.manual_seed(state)
        np.random.seed(state)
        heads.append(fitted(method, seed=7)[0].head)
    assert heads[0].layers == heads[1].layers
    assert {name: array.tobytes() for name, array in heads[0].arrays.items()} == {
        name: array.tobytes() for name, array in heads[1].arrays.items()
    }


def test_seed_changes_the_head_of_random_methods_alone(method, fitted):
    one, other = (fitted(method, seed=seed)[0].head.arrays for seed in (0, 1))
    equal = all(one[name].tobytes() == other[name].tobytes() for name in one)
    assert equal == (not method.random)


def test_codes_are_packed_bits_and_do_not_depend_on_the_batch(method, fitted):
    ready, features, _ = fitted(method)
    codes = ready.encode(features)
    assert (codes.shape, codes.dtype) == ((200, 2), np.uint8)
    assert np.array_equal(ready.encode(features), codes)
    parts = [ready.encode(features[:1]), ready.encode(features[1:50]), ready.encode(features[50:])]
    assert np.array_equal(np.concatenate(parts), codes)
    assert np.array_equal(ready.encode(features[::-1]), codes[::-1])


def test_codes_are_better_than_chance(method, fitted):
    ready, features, labels = fitted(method, 300)
    distances = hamming.distances(*[ready.encode(features)] * 2).astype(float)
    same = labels[:, None] == labels[None]
    assert distances[same].mean() < distances[~same].mean()


def test_what_is_learnt_from_is_not_changed(method, clustered):
    features, labels = clustered(100, 20)
    given = {"features": features, **required(method, features, labels)}
    before = {name: values.copy() for name, values in given.items()}
    quick(method).fit(**given)
    assert all(np.array_equal(given[name], before[name]) for name in given)


def test_saved_and_loaded_it_is_the_same(method, fitted, tmp_path):
    ready, features, _ = fitted(method)
    ready.save(tmp_path / "head.safetensors")
    loaded = method.load(tmp_path / "head.safetensors")
    assert loaded == ready
    assert np.array_equal(loaded.encode(features), ready.encode(features))


def test_numpy_codes_are_torchs(trained, fitted, monkeypatch):
    modules = []
    build = trained.build_head
    monkeypatch.setattr(trained, "build_head", lambda *sizes: modules.append(build(*sizes)) or modules[-1])
    ready, features, _ = fitted(trained, 300)
    rows = torch.from_numpy(features)
    if ready.inputs == "centred":
        rows = Centring.of(rows)(rows)
    # Heads are stored in float32 with batch norm folded in: the only bits that may differ are within that rounding.
    logits = modules[-1].double()(rows.double()).detach().numpy()
    differing = hamming.unpack(ready.encode(features)) != (logits > 0)
    assert np.abs(logits[differing]).max(initial=0) < 1e-5
    assert differing.mean() < 1e-3


@pytest.mark.parametrize(
    "settings",
    [{"precision": "bfloat16"}, {"feature_dropout": 0.5}, {"optimiser": "sgd"}, {"schedule": "cosine"}],
    ids=str,
)
def test_every_way_of_training(trained, fitted, settings):
    ready, *_ = fitted(trained, **settings)
    assert len(ready.curve) == 2
    assert all(np.isfinite(list(row.values())).all() for row in ready.curve)
    head = fitted(trained)[0].head
    assert any(not np.array_equal(head.arrays[name], ready.head.arrays[name]) for name in head.arrays)


def test_loss_is_finite_and_differentiable(trained, step):
    head, loss = step(trained)
    total = loss(torch.arange(8))
    total.backward()
    assert torch.isfinite(total)
    gradients = [parameter.grad for parameter in head.parameters()]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert sum(gradient.abs().sum() for gradient in gradients) > 1e-6


def test_loss_knows_no_order_of_pairs(trained, step):
    # Items i and i + 4 are half-split pairs, also inside each of two views.
    _, loss = step(trained)
    order = torch.tensor([2, 0, 3, 1])
    again = loss(torch.cat([order, order + 4]))
    assert again.item() == pytest.approx(loss(torch.arange(8)).item(), abs=1e-12)
    assert loss(torch.arange(8) + 8).item() != pytest.approx(again.item(), abs=1e-6)


def test_head_has_the_right_shape(trained):
    module = trained().build_head(20, 24).eval()
    assert module(torch.zeros(3, 20)).shape == (3, 24)


@pytest.mark.parametrize("method", TRAINED, ids=lambda cls: cls.__name__)
def test_a_head_that_does_not_fit_in_memory_is_refused_before_any_is_taken(method, fitted, monkeypatch):
    monkeypatch.setattr("sdc.methods.training.free_bytes", lambda device: 4000)
    with pytest.raises(
        SDCError, match=r"^a head of [\d,]+ weights in batches of 32 takes .* GB of memory, and 0.0 GB are"
    ):
        fitted(method)
    monkeypatch.setattr("sdc.methods.training.free_bytes", lambda device: None)
    fitted(method)


def test_the_largest_head_takes_more_than_machines_have(fitted):
    with pytest.raises(SDCError, match=r"weights in batches of 32 takes 4,[\d.,]+ GB of memory"):
        sdc.SDC(bits=16, hidden=65_536, hidden_layers=64, batch_size=32).fit(*fitted(sdc.LSH)[1:2])
