import numpy as np
import pytest
from torch import nn

import sdc.registry
from sdc import SDC
from sdc.errors import SDCError


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("hidden", "expected"), [("dim", 639_936), (4096, 3_412_160), (None, 49_344)])
def test_parameter_counts(hidden, expected):
    assert parameters(SDC(hidden=hidden).build_head(768, 64)) == expected


def test_hidden_layers_are_of_one_width():
    head = SDC(hidden=32, hidden_layers=3).build_head(8, 16)
    assert [tuple(layer.weight.shape) for layer in head if isinstance(layer, nn.Linear)] == [
        (32, 8), (32, 32), (32, 32), (16, 32),
    ]  # fmt: skip
    assert sum(isinstance(layer, nn.GELU) for layer in head) == 3


@pytest.mark.parametrize("settings", [{"hidden": 16, "hidden_layers": 2}, {"calibration": "linear", "hidden": 16}])
def test_variants_of_ablations_train_and_encode(settings):
    features = np.random.default_rng(0).standard_normal((64, 8)).astype(np.float32)
    method = SDC(bits=16, epochs=3, batch_size=32, **settings).fit(features)
    assert len(np.unique(method.encode(features), axis=0)) > 8


def test_defaults_are_the_papers():
    method = SDC()
    paper = {
        "calibration": "beta(5,5)", "quantisation": 1.0, "hidden": 4096, "weight_decay": 5e-4, "learning_rate": 1e-4,
        "epochs": 100, "batch_size": 64, "decay_after": 0.8, "decay_factor": 0.1, "clamp_targets": False,
    }  # fmt: skip
    assert {name: getattr(method, name) for name in paper} == paper


def test_head_ends_in_batch_norm():
    assert isinstance(SDC().build_head(8, 16)[-1], nn.BatchNorm1d)


def test_hidden_has_allowed_values_only():
    with pytest.raises(
        SDCError, match=r"SDC.hidden: 'wide' is not allowed; expected integer >= 1, <= 65536 or one of dim or null"
    ):
        SDC(hidden="wide")
    with pytest.raises(SDCError, match="calibration: 'beta' is not known"):
        SDC(calibration="beta")


def test_learns_to_separate_clusters(clustered):
    features, labels = clustered(640, 16)
    codes = SDC(bits=16, hidden=64, epochs=15, learning_rate=1e-3).fit(features).encode(features)
    distances = sdc.hamming.distances(codes, codes).astype(float)
    same = labels[:, None] == labels[None]
    np.fill_diagonal(same, False)
    assert distances[same].mean() + 3 < distances[labels[:, None] != labels[None]].mean()
