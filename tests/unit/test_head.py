import numpy as np
import pytest
import torch

from sdc import hamming
from sdc import head as heads
from sdc.errors import SDCError
from sdc.head import Head


def mlp(dim, hidden, bits, seed=0, scale=1.0):
    generator = np.random.default_rng(seed)
    draw = lambda *shape: (generator.standard_normal(shape) / shape[-1] ** 0.5).astype(np.float32)  # noqa: E731
    arrays = {"0.weight": draw(hidden, dim), "0.bias": draw(hidden), "2.weight": draw(bits, hidden) * scale}
    return Head(("linear", "gelu", "linear"), {**arrays, "2.bias": draw(bits) * scale})


def test_logits_are_those_of_torch():
    head, features = mlp(20, 50, 16), np.random.default_rng(1).standard_normal((30, 20))
    tensors = {name: torch.from_numpy(array).double() for name, array in head.arrays.items()}
    hidden = torch.nn.functional.gelu(torch.from_numpy(features) @ tensors["0.weight"].T + tensors["0.bias"])
    expected = hidden @ tensors["2.weight"].T + tensors["2.bias"]
    assert head.logits(features) == pytest.approx(expected.numpy(), abs=1e-12)
    assert head.logits(features, np.float32) == pytest.approx(expected.numpy(), abs=1e-5)


def normalised(dim, hidden, bits, seed=0):
    """Layer norm, linear, ReLU, linear."""
    rest = mlp(dim, hidden, bits, seed)
    arrays = {f"{int(name[0]) + 1}{name[1:]}": array for name, array in rest.arrays.items()}
    return Head(("layernorm", "linear", "relu", "linear"), {**arrays, "0.eps": np.array([1e-6], np.float32)})


def test_layer_norm_and_relu_are_those_of_torch():
    head, features = normalised(20, 50, 16), 3 + 2 * np.random.default_rng(1).standard_normal((30, 20))
    tensors = {name: torch.from_numpy(array).double() for name, array in head.arrays.items()}
    rows = torch.nn.functional.layer_norm(torch.from_numpy(features), (20,), eps=float(head.arrays["0.eps"][0]))
    hidden = torch.relu(rows @ tensors["1.weight"].T + tensors["1.bias"])
    expected = hidden @ tensors["3.weight"].T + tensors["3.bias"]
    assert head.logits(features) == pytest.approx(expected.numpy(), abs=1e-12)
    single = head.logits(features, np.float32)
    assert single.dtype == np.float32
    assert single == pytest.approx(expected.numpy(), abs=1e-5)
    assert (head.dim, head.bits) == (20, 16)


def test_layer_norm_of_constant_rows_is_finite():
    head = normalised(20, 50, 16)
    assert head.logits(np.full((1, 20), 7.0)) == pytest.approx(head.logits(np.zeros((1, 20))))


@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_bits_after_a_layer_norm_are_those_of_double_precision(offset):
    head = normalised(256, 512, 64)
    features = (np.random.default_rng(2).standard_normal((3000, 256)) + offset).astype(np.float32)
    assert np.array_equal(hamming.unpack(head.encode(features)), head.logits(features) > 0)


@pytest.mark.parametrize("offset", [0.0, 5.0])
@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_bits_are_those_of_double_precision(offset, scale):
    # The offset makes large terms cancel; the features are few in number but many to a plane, so that some lie near it.
    head = mlp(256, 512, 64, scale=scale)
    features = (np.random.default_rng(2).standard_normal((3000, 256)) + offset).astype(np.float32)
    expected = head.logits(features) > 0
    assert np.array_equal(hamming.unpack(head.encode(features)), expected)


@pytest.mark.parametrize("kind", [mlp, normalised])
def test_bits_by_other_thresholds_are_those_of_double_precision(kind):
    head = kind(256, 512, 64)
    features = (np.random.default_rng(2).standard_normal((3000, 256)) + 5).astype(np.float32)
    mean = head.mean([features[:2100], features[2100:]])
    logits = head.logits(features)
    assert mean == pytest.approx(logits.mean(axis=0), abs=1e-12)
    assert np.array_equal(hamming.unpack(head.encode(features, mean)), logits > mean)
    assert abs((logits > mean).mean() - 0.5) < 0.05
    # Thresholds that are the logits of a row themselves: not exceeded by that row, whatever single precision says.
    assert not head.encode(features[7:8], head.logits(features[7:8])[0]).any()


def test_doubt_covers_the_error_of_single_precision():
    worst = 0.0
    for seed, (dim, hidden) in enumerate([(64, 4096), (1280, 1280), (4096, 512)]):
        head = mlp(dim, hidden, 64, seed)
        features = np.abs(np.random.default_rng(seed).standard_normal((64, dim))).astype(np.float32)
        single, inputs = head._apply(features, np.float32)
        scale = np.linalg.norm(inputs, axis=1)[:, None] * np.linalg.norm(head.arrays["2.weight"], axis=1)
        worst = max(worst, float((np.abs(single - head.logits(features)) / scale).max()))
    assert 0 < worst < heads._DOUBT / 16


def test_boundary_rows_are_decided_in_double_precision():
    # Logits of 1e-9 and -1e-9 after a cancellation that single precision cannot see.
    head = Head(("linear",), {"0.weight": np.ones((8, 2), np.float32), "0.bias": np.zeros(8, np.float32)})
    features = np.array([[1.0, -1.0 + 1e-9], [1.0, -1.0 - 1e-9], [1.0, -1.0]])
    assert head.encode(features).ravel().tolist() == [255, 0, 0]


def test_zero_logit_is_bit_zero():
    head = Head(("linear",), {"0.weight": np.zeros((8, 2), np.float32), "0.bias": np.zeros(8, np.float32)})
    assert head.encode(np.ones((1, 2), np.float32))[0, 0] == 0


def test_encoding_does_not_depend_on_the_batch():
    head, features = mlp(32, 64, 16), np.random.default_rng(3).standard_normal((5000, 32)).astype(np.float32)
    whole = head.encode(features)
    parts = np.concatenate([head.encode(features[:1]), head.encode(features[1:17]), head.encode(features[17:])])
    assert np.array_equal(whole, parts)


def test_half_precision_features_are_taken():
    head, features = mlp(32, 64, 16), np.random.default_rng(3).standard_normal((50, 32)).astype(np.float16)
    assert np.array_equal(head.encode(features), head.encode(features.astype(np.float64)))


def test_shape_of_a_head():
    head = mlp(20, 50, 16)
    assert (head.dim, head.bits) == (20, 16)


def test_wrong_width_and_nan_are_refused():
    head = mlp(20, 50, 16)
    with pytest.raises(SDCError, match=r"shape \(3, 19\), the head takes \(n, 20\)"):
        head.encode(np.zeros((3, 19)))
    with pytest.raises(SDCError, match="NaN or infinity"):
        head.encode(np.full((3, 20), np.nan))
