import argparse
import collections

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sdc.backbones.checkpoint import load_weights
from sdc.errors import SDCError


class Net(nn.Module):
    """A body and a classifier."""

    def __init__(self, classes=10):
        super().__init__()
        self.body, self.fc = nn.Linear(3, 4), nn.Linear(4, classes)


STATE = Net().state_dict()
PREFIXED = {f"module.{key}": value for key, value in STATE.items()}
NET = {"epoch": 3, "best": np.float64(0.5), "args": argparse.Namespace(lr=0.1)}


def load(path):
    network = Net(7)
    load_weights(network, path, "net", ["fc"])
    assert network.fc.out_features == 7
    return network.body


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        PREFIXED,
        {f"module._orig_mod.{key}": value for key, value in STATE.items()},
        {"state_dict": PREFIXED, **NET},
        {"model": STATE, "model_ema": {"n_averaged": 1}, **NET},
        {"net": {"state_dict": STATE}},
        {"n_averaged": torch.tensor(3), **PREFIXED},
        {key: value for key, value in STATE.items() if not key.startswith("fc.")},
        collections.OrderedDict(STATE),
    ],
)
def test_what_wraps_a_state_dict_and_its_classifier_do_not_matter(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    assert torch.equal(load(tmp_path / "w.pth").weight, STATE["body.weight"])


def test_safetensors(tmp_path):
    save_file(PREFIXED, tmp_path / "w.safetensors")
    assert torch.equal(load(tmp_path / "w.safetensors").bias, STATE["body.bias"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"body.weight": STATE["body.weight"]}, "is not a state dict that fits net .*Missing key.*body.bias"),
        (
            {**STATE, "more.weight": STATE["fc.weight"]},
            "is not a state dict that fits net .*Unexpected key.*more",
        ),
        (Net(), r"holds objects of .*Net, .* save the weights alone: torch.save\(model.state_dict"),
        ({"model": STATE, "when": SDCError("x")}, "holds objects of sdc.errors.SDCError, which are not loaded"),
        ([1, 2], "is not a state dict that fits net .it holds a list"),
    ],
)
def test_anything_else_is_named(tmp_path, content, problem):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(SDCError, match=f"w.pth: {problem}"):
        load(tmp_path / "w.pth")


def test_files_that_are_damaged_or_not_there(tmp_path):
    with pytest.raises(SDCError, match="w.pth: no such weights file"):
        load(tmp_path / "w.pth")
    (tmp_path / "w.pth").write_bytes(b"no weights")
    with pytest.raises(SDCError, match="w.pth: is not a state dict that fits net"):
        load(tmp_path / "w.pth")
