import numpy as np
import pytest

from sdc import ITQ, PCARotation, hamming
from sdc.errors import SDCError


def test_codes_are_those_of_a_plain_loop(vectors):
    features = vectors(60, 12, 0) * np.linspace(3, 1, 12) + 1
    mean = sum(features) / 60
    covariance = sum(np.outer(row - mean, row - mean) for row in features)
    axes = []
    for _ in range(8):
        # The power method, on what is left of the covariance.
        axis = np.ones(12)
        for _ in range(3000):
            axis = covariance @ axis
            axis /= np.sqrt(axis @ axis)
        covariance = covariance - (axis @ covariance @ axis) * np.outer(axis, axis)
        axes.append(axis * np.sign(axis[abs(axis).argmax()]))
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((8, 8)))[0]
    expected = [
        [sum(((row - mean) @ axes[axis]) * turn[axis, bit] for axis in range(8)) > 0 for bit in range(8)]
        for row in features
    ]
    method = PCARotation(bits=8, seed=5).fit(features)
    assert np.array_equal(hamming.unpack(method.encode(features)), expected)


def test_it_is_itq_before_its_first_iteration(clustered):
    features, _ = clustered(200, 20)
    one, other = (
        method.fit(features).encode(features) for method in (PCARotation(bits=16), ITQ(bits=16, iterations=0))
    )
    assert np.array_equal(one, other)


def test_every_preset_is_the_same():
    presets = ("paper", "original", "code", "instance")
    assert {PCARotation.preset(name, bits=16) for name in presets} == {PCARotation(bits=16)}


def test_more_bits_than_dimensions_is_refused_with_the_reason():
    with pytest.raises(
        SDCError, match=r"^PCA \+ rotation needs at least as many feature dimensions and training items"
    ):
        PCARotation(bits=16).fit(np.random.default_rng(0).standard_normal((30, 8)))
