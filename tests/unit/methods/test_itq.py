import itertools

import numpy as np
import pytest

from sdc import ITQ, hamming
from sdc.errors import SDCError
from sdc.methods.itq import iterate
from sdc.methods.pca import principal_axes, random_rotation


@pytest.fixture
def heavy_tailed():
    generator = np.random.default_rng(0)
    data = generator.standard_normal((2000, 64)) * np.linspace(2, 0.2, 64)
    return data - data.mean(axis=0)


def test_rotation_is_orthogonal_and_the_objective_never_rises(heavy_tailed):
    projected = heavy_tailed @ principal_axes(heavy_tailed, 32).T
    rotation, objectives = iterate(projected, random_rotation(32, 0), 50, 0, "procrustes")
    assert np.abs(rotation.T @ rotation - np.eye(32)).max() < 1e-10
    assert all(later <= earlier + 1e-9 for earlier, later in itertools.pairwise(objectives))
    _, public = iterate(projected, random_rotation(32, 0), 50, 0, "public")
    assert any(later > earlier + 1e-9 for earlier, later in itertools.pairwise(public))
    assert objectives[-1] < public[-1]


def test_balanced_corners_are_found_again():
    generator = np.random.default_rng(1)
    corners = np.where(generator.random((200, 4)) > 0.5, 1.0, -1.0)
    corners = np.concatenate([corners, -corners])
    turn = random_rotation(4, 3)
    # Rotations near the solution: the corners turned, and a start that is a little off.
    start = np.linalg.qr(turn + 0.05 * generator.standard_normal((4, 4)))
    close = start[0] * np.sign(np.diag(start[1]))
    _, objectives = iterate(corners @ turn.T, close, 50, 0, "procrustes")
    assert objectives[-1] == pytest.approx(0, abs=1e-18)


def test_stops_early_once_the_objective_settles(heavy_tailed):
    projected = heavy_tailed @ principal_axes(heavy_tailed, 8).T
    _, objectives = iterate(projected, random_rotation(8, 0), 10_000, 1e-6, "procrustes")
    assert len(objectives) < 1000


def test_translation_does_not_matter(clustered):
    features, _ = clustered(300, 20)
    features = features.astype(np.float64)
    one, other = (ITQ(bits=16).fit(features + shift).encode(features + shift) for shift in (0.0, 7.0))
    assert np.array_equal(hamming.distances(one, one), hamming.distances(other, other))


def test_more_bits_than_dimensions_is_refused_with_the_reason():
    with pytest.raises(
        SDCError, match=r"ITQ needs at least as many feature dimensions and training items as bits, got 8 and 30 for 16"
    ):
        ITQ(bits=16).fit(np.random.default_rng(0).standard_normal((30, 8)))
