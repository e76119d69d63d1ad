import subprocess
import sys

import pytest
import torch
from torch import nn

from sdc import SDC
from sdc.methods.optimisers import Optimiser


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"weight_decay": 0.0, "adam_epsilon": 1e-4},
        {"optimiser": "adamw", "weight_decay": 0.1},
        {"optimiser": "sgd"},
        {"optimiser": "sgd", "momentum": 0.0},
    ],
)
def test_it_moves_parameters_as_torch_does(settings):
    method = SDC(**settings)
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (
        [nn.Parameter(torch.randn(shape, generator=generator.manual_seed(1))) for shape in ((40, 33), (7,), ())]
        for _ in range(2)
    )
    shared = {"lr": 0.1, "weight_decay": method.weight_decay, "fused": True}
    torchs = (
        torch.optim.SGD(theirs, momentum=method.momentum, **shared)
        if method.optimiser == "sgd"
        else {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[method.optimiser](
            theirs, eps=method.adam_epsilon, **shared
        )
    )
    optimiser = Optimiser(method, ours)
    for rate in (0.1, 0.1, 0.01, 0.02):
        for one, other in zip(ours[:2], theirs[:2], strict=True):  # the last never has a gradient
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = one.grad.clone()
        torchs.param_groups[0]["lr"] = rate
        torchs.step()
        optimiser.step(rate)
        assert all(one.grad is None for one in ours)
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_training_does_not_import_torchs_compiler():
    program = (
        "import sys, torch; from sdc import SDC, devices; devices.make_deterministic(); "
        "SDC(bits=8, hidden=4, epochs=1, batch_size=4).fit(torch.rand(8, 4)); "
        "assert torch.are_deterministic_algorithms_enabled(); "
        "sys.exit(bool({'torch._dynamo', 'torch._inductor', 'sympy'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
