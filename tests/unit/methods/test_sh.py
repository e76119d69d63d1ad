import numpy as np
import pytest

from sdc import SH, hamming
from sdc.errors import SDCError
from sdc.methods.sh import box, eigenfunctions


def distances(features, **settings):
    codes = SH(**settings).fit(features).encode(features)
    return hamming.distances(codes, codes)


def test_two_functions_of_a_four_to_one_box():
    # Extents 4 and 1: the first two modes of the long axis, bits t < 2, and t < 1 or t > 3.
    axis, mode = eigenfunctions(np.array([4.0, 1.0]), 2)
    assert (axis.tolist(), mode.tolist()) == ([0, 0], [1, 2])
    t = np.array([0.5, 1.5, 2.5, 3.5])
    bits = np.cos(mode[:, None] * np.pi * t / 4) > 0
    assert bits.tolist() == [[True, True, False, False], [True, False, False, True]]


def test_equal_eigenvalues_go_to_the_lower_axis():
    axis, mode = eigenfunctions(np.array([2.0, 2.0, 1.0]), 4)
    assert list(zip(axis.tolist(), mode.tolist(), strict=True)) == [(0, 1), (1, 1), (0, 2), (1, 2)]


def test_box_holds_every_point():
    data = np.array([[0.0, 5.0], [2.0, 5.0]])
    low, span = box(data)
    assert (low <= data.min(axis=0)).all()
    assert span == pytest.approx([2.0, 0.0], abs=1e-12)
    assert (span > 0).all()


def test_translation_and_the_signs_of_axes_do_not_matter(clustered):
    features = clustered(200, 20)[0].astype(np.float64)
    expected = distances(features, bits=16)
    assert np.array_equal(distances(features + 3, bits=16), expected)
    # Mirrored data have mirrored axes.
    assert np.array_equal(distances(-features, bits=16), expected)


def test_more_bits_than_dimensions_take_higher_modes():
    features = np.random.default_rng(0).uniform(-1, 1, (300, 3)) * [4, 2, 1]
    assert SH(bits=32).fit(features).encode(features).shape == (300, 4)


def test_more_bits_than_items():
    features = np.random.default_rng(0).standard_normal((9, 40))
    assert SH(bits=16).fit(features).encode(features).shape == (9, 2)


def test_head_gives_the_cosines(clustered):
    features = clustered(100, 12)[0]
    head = SH(bits=8).fit(features).head
    assert head.layers == ("linear", "cos")
    assert np.abs(head.logits(features)).max() <= 1
    # On the training data the first function falls once from edge to edge of the longest axis.
    assert np.abs(head.logits(features)[:, 0]).max() == pytest.approx(1, abs=1e-6)


def test_constant_dimensions_are_passed_over_and_constant_features_refused(clustered):
    features = clustered(100, 12)[0]
    features[:, 3] = 7
    assert SH(bits=16).fit(features).encode(features).shape == (100, 2)
    with pytest.raises(SDCError, match="all 100 training features are equal; check the images and the backbone"):
        SH(bits=16).fit(np.ones((100, 12)))
