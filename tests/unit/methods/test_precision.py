import pytest
import torch

from sdc import SDC
from sdc.methods import precision
from sdc.methods.data import Training
from sdc.methods.training import train


@pytest.fixture
def native(monkeypatch):
    """Let every device compute in bfloat16, or none."""
    return lambda answer: monkeypatch.setattr(precision, "native_bfloat16", lambda device: answer)


@pytest.mark.parametrize(
    ("rows", "dim", "hidden", "expected"),
    [
        (64, 1280, 1280, "bfloat16"),
        (64, 1280, 4096, "bfloat16"),
        (64, 1024, 1024, "bfloat16"),
        (63, 1024, 1024, "float32"),
        (64, 64, 4096, "float32"),  # the digits
        (64, 1280, None, "float32"),
    ],
)
def test_auto_takes_bfloat16_for_large_products(native, rows, dim, hidden, expected):
    method = SDC(bits=64, hidden=hidden)
    with torch.device("meta"):
        head = method.build_head(dim, 64)
    assert precision.choose(method, head, rows) == "float32"  # that device has no bfloat16
    head = head.to_empty(device="cpu")
    native(True)
    assert precision.choose(method, head, rows) == expected
    native(False)
    assert precision.choose(method, head, rows) == "float32"


def test_what_is_set_is_taken(native):
    for answer, name in ((True, "float32"), (False, "bfloat16")):
        native(answer)
        method = SDC(hidden=8, precision=name)
        assert precision.choose(method, method.build_head(8, 64), 2**30) == name


def test_the_default_run_is_in_float32_everywhere(native):
    """Its table is then the same on processors with and without bfloat16, but for rounding."""
    from sdc import registry
    from sdc.methods.base import TrainedMethod

    native(True)
    for name in registry.METHODS:
        method = registry.build("methods", name, {}, bits=64, seed=0)
        if isinstance(method, TrainedMethod):
            assert precision.choose(method, method.build_head(64, 64), 2 * method.batch_size) == "float32"


def test_the_head_says_what_it_was(native, monkeypatch, clustered):
    training = Training(torch.from_numpy(clustered(128, 8)[0]))
    settings = {"bits": 8, "hidden": 16, "epochs": 2}
    given = {name: train(SDC(precision=name, **settings), training)[0] for name in ("float32", "bfloat16")}
    assert {name: head.metadata["precision"] for name, head in given.items()} == {name: name for name in given}
    monkeypatch.setattr(precision, "WORTH", {"cpu": 0})
    for answer, name in ((True, "bfloat16"), (False, "float32")):
        native(answer)
        head = train(SDC(**settings), training)[0]
        assert head.metadata == {"precision": name}
        assert all((head.arrays[key] == given[name].arrays[key]).all() for key in head.arrays)
    best = train(SDC(select="best", **settings), training, score=lambda head: 0.0)[0]
    assert best.metadata["precision"] == "float32"
    assert "selected" in best.metadata
