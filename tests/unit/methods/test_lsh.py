import numpy as np
import pytest

from sdc import LSH, hamming


def test_share_of_differing_bits_is_the_angle():
    features = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
    codes = LSH(bits=4096, seed=1).fit(features).encode(features)
    shares = hamming.distances(codes, codes) / 4096
    assert shares[0, 1] == pytest.approx(0.5, abs=0.03)
    assert shares[0, 2] == pytest.approx(0.25, abs=0.03)


def test_scale_does_not_matter_and_opposites_have_opposite_codes(clustered):
    features, _ = clustered(50, 12)
    method = LSH(bits=32).fit(features)
    codes = method.encode(features)
    assert np.array_equal(method.encode(3 * features), codes)
    assert np.array_equal(method.encode(-features), ~codes)


def test_hyperplanes_are_gaussian_not_orthonormal():
    weight = LSH(bits=64, seed=0).fit(np.eye(64)).head.arrays["0.weight"]
    assert np.abs(weight @ weight.T - np.eye(64) * 64).max() > 10
    assert weight.std() == pytest.approx(1, abs=0.05)


def test_centred_splits_features_with_a_common_mean(clustered):
    features, _ = clustered(500, 12)
    features = features + 20
    balance = [
        hamming.unpack(LSH(bits=64, centred=centred).fit(features).encode(features)).mean(axis=0)
        for centred in (False, True)
    ]
    assert ((balance[0] < 0.02) | (balance[0] > 0.98)).mean() > 0.7
    assert ((balance[1] > 0.2) & (balance[1] < 0.8)).mean() > 0.9


def test_seed_changes_the_hyperplanes(clustered):
    features, _ = clustered(50, 12)
    first, again, other = (LSH(bits=32, seed=seed).fit(features).encode(features) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
