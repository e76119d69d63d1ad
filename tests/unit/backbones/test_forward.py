import shutil

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.transforms import functional as F

from sdc.backbones import forward
from sdc.errors import SDCError

CPU = torch.device("cpu")


def images(count=4, edge=8):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, edge, edge, 3), np.uint8))


def network(dim=6):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, dim)
    return nn.Sequential(*layers).eval().requires_grad_(False)


def test_scale_has_the_bits_of_torchvisions_transform():
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    batch = images(3, 17)
    expected = F.normalize(F.convert_image_dtype(batch.permute(0, 3, 1, 2), torch.float32), mean, std)
    found = forward.Scale(mean, std)(batch)
    assert torch.equal(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_generalised_mean():
    maps = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[-5.0, 0.0], [0.0, 0.0]]]])
    assert forward.gem(maps)[0].numpy() == pytest.approx([((1 + 8 + 27 + 64) / 4) ** (1 / 3), 1e-6], rel=1e-5)


def test_descriptor_averages_the_normalised_features_of_each_size():
    inner, batch = network(), torch.rand(2, 3, 8, 8)
    found = forward.Descriptor(inner, (0.5, 1.0, 2.0), False)(batch)
    total = torch.zeros(2, 6)
    for edge in (4, 8, 16):
        features = inner(F.resize(batch, [edge, edge], antialias=False))
        total += features / features.norm(dim=1, keepdim=True)
    assert torch.allclose(found, total / total.norm(dim=1, keepdim=True), atol=1e-6)


def test_descriptor_normalises_and_leaves_what_comes_beside_the_features():
    class Pair(nn.Module):
        def forward(self, batch):
            return batch.mean((2, 3)), batch.amax((2, 3))

    batch = torch.rand(2, 3, 8, 8)
    for scales in ((1.0,), (0.5,), (2.0, 0.5)):
        features, others = forward.Descriptor(Pair(), scales, True)(batch)
        assert torch.allclose(features.norm(dim=1), torch.ones(2))
        assert torch.equal(others, batch.amax((2, 3)))


def test_network_of_one_size_says_so():
    inner = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    with pytest.raises(SDCError, match=r"scales: the network does not take images at 0.5 of their size .*leave scales"):
        forward.Descriptor(inner, (1.0, 0.5), False)(torch.rand(2, 3, 8, 8))


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_precisions_agree_but_for_rounding(precision):
    whole = nn.Sequential(forward.Scale((0.5,) * 3, (0.25,) * 3), network())
    with torch.inference_mode():
        expected = whole(images())
    (found,) = forward.Forward(whole, CPU, precision)(images())
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol={"float32": 1e-6, "bfloat16": 0.03, "float16": 0.003}[precision])
    assert np.array_equal(found, expected) == (precision == "float32")


class Noisy(nn.Module):
    """The identity; in bfloat16 off by a share."""

    def __init__(self, share):
        super().__init__()
        self.share = share

    def forward(self, batch):
        lower = torch.is_autocast_enabled("cpu")
        return batch + lower * self.share * torch.tensor([1.0, -1.0]) * batch


@pytest.mark.parametrize(("share", "expected"), [(0.0, "bfloat16"), (0.04, "bfloat16"), (0.05, "float32")])
def test_automatic_precision_asks_device_and_network(monkeypatch, share, expected):
    batch = torch.ones(3, 2)  # cosine 1 / sqrt(1 + share²): 0.9992 and 0.9988
    for native in (True, False):
        monkeypatch.setattr(forward, "native_bfloat16", lambda device, native=native: native)
        found = forward.choose_precision("auto", CPU, Noisy(share), lambda: batch)
        assert found == (expected if native else "float32")


def test_given_precision_is_taken_without_a_try():
    assert forward.choose_precision("float16", CPU, nn.Identity(), pytest.fail) == "float16"


class Small(nn.Module):
    """Takes so many images at a time."""

    def __init__(self, holds, error):
        super().__init__()
        self.holds, self.error, self.seen = holds, error, []

    def forward(self, batch):
        self.seen.append(len(batch))
        if len(batch) > self.holds:
            raise self.error
        return batch * 2


FULL = [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory: …")]


@pytest.mark.parametrize("error", FULL)
def test_full_memory_halves_the_batch_and_remembers(error, caplog):
    small = Small(3, error)
    run = forward.Forward(small, CPU, "float32")
    batch = torch.arange(10.0)[:, None]
    for _ in range(2):
        (found,) = run(batch)
        assert np.array_equal(found, 2 * batch)
    assert small.seen == [10, 5, *[2] * 10]
    assert "cpu: out of memory with batches of 5; going on with 2" in caplog.text


def test_full_memory_with_one_image():
    with pytest.raises(SDCError, match="cpu: its memory does not hold the forward pass of one image"):
        forward.Forward(Small(0, FULL[0]), CPU, "float32")(torch.ones(4, 1))


def test_other_errors_are_not_taken_for_a_full_memory():
    with pytest.raises(RuntimeError, match="shape"):
        forward.Forward(Small(0, RuntimeError("shape")), CPU, "float32")(torch.ones(4, 1))


def test_a_real_allocation_that_fails_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert forward.out_of_memory(caught.value)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_agrees_with_the_cpu():
    gpu = torch.device("cuda")
    (expected,) = forward.Forward(network(), CPU, "float32")(torch.ones(4, 3, 8, 8))
    for precision, atol in (("float32", 1e-3), ("bfloat16", 0.05)):
        (found,) = forward.Forward(network().to(gpu), gpu, precision)(torch.ones(4, 3, 8, 8))
        assert np.allclose(found, expected, atol=atol)
    (there,) = forward.Forward(network().to(gpu), gpu, "float32")(torch.ones(4, 3, 8, 8, device=gpu))
    assert np.allclose(there, expected, atol=1e-3)


def test_grid_is_the_mean_of_each_cells_tokens():
    tokens = torch.rand(2, 36, 5)
    found = forward.Grid(3)(tokens)
    expected = tokens.reshape(2, 3, 2, 3, 2, 5).mean((2, 4)).reshape(2, 9, 5)
    assert torch.allclose(found, expected)
    assert torch.equal(forward.Grid(6)(tokens), tokens)
    with pytest.raises(SDCError, match="tokens: 7 by 7 are more than the network's 6 by 6; lower it"):
        forward.Grid(7)(tokens)


def test_network_that_cannot_be_compiled_runs_as_it_is(monkeypatch, caplog):
    def broken(network):
        def fail(batch):
            raise RuntimeError("no C++ compiler\nfound")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    batch = torch.rand(3, 3, 8, 8)
    passed = forward.Forward(network(), CPU, "float32", compile=True)
    (expected,) = forward.Forward(network(), CPU, "float32")(batch)
    for _ in range(2):
        assert np.array_equal(passed(batch)[0], expected)
    assert not passed.compiled
    assert caplog.messages == [
        "compile: torch cannot compile the network here (no C++ compiler found); it runs as it is"
    ]


def test_compiled_network_takes_the_place_of_the_other(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda network: lambda batch: 2 * network(batch))
    batch = torch.rand(3, 3, 8, 8)
    passed = forward.Forward(network(), CPU, "float32", compile=True)
    (expected,) = forward.Forward(network(), CPU, "float32")(batch)
    assert np.array_equal(passed(batch)[0], 2 * expected)
    assert passed.compiled


@pytest.mark.heavy
@pytest.mark.skipif(shutil.which("c++") is None and shutil.which("g++") is None, reason="no C++ compiler")
def test_compiled_network_gives_the_same_features():
    batch = torch.rand(3, 3, 8, 8)
    passed = forward.Forward(network(), CPU, "float32", compile=True)
    (expected,) = forward.Forward(network(), CPU, "float32")(batch)
    assert passed(batch)[0] == pytest.approx(expected, abs=1e-5)
    assert passed.compiled
