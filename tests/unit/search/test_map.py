import warnings

import numpy as np
import pytest

from sdc import hamming
from sdc.search.map import map_of


def clusters(sizes, bits=64, flips=3, seed=0):
    """Codes some bits away from a centre of their own, and whose they are."""
    generator = np.random.default_rng(seed)
    centres = generator.random((len(sizes), bits)) < 0.5
    which = np.repeat(np.arange(len(sizes)), sizes)
    noise = generator.random((len(which), bits)) < flips / bits
    return hamming.pack(centres[which] ^ noise), which


def test_near_codes_are_near_each_other_and_the_map_is_always_the_same():
    codes, which = clusters([60, 50, 40])
    drawn = map_of(codes)
    assert drawn.rows.tolist() == [*range(150)]
    assert (drawn.places.dtype, drawn.places.shape) == (np.uint16, (150, 2))
    places = drawn.places.astype(float)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2) + np.diag(np.full(150, np.inf))
    # The ten nearest on the map are of one's own cluster.
    nearest = np.argsort(distances, axis=1)[:, :10]
    assert (which[nearest] == which[:, None]).mean() > 0.99
    # It fills the square on its longer side.
    assert (places.max(0) - places.min(0)).max() == 65535
    again = map_of(codes.copy())
    assert all(map(np.array_equal, drawn, again))


def test_of_many_codes_a_sample_is_on_the_map():
    codes, which = clusters([1500, 1500], bits=16)
    drawn = map_of(codes, most=500)
    assert len(drawn.rows) == 500 == len(set(drawn.rows.tolist())) and (np.diff(drawn.rows) > 0).all()
    assert 200 < (which[drawn.rows] == 0).sum() < 300


@pytest.mark.parametrize("distinct", [1, 2, 3, 4, 9])
def test_equal_codes_are_one_point(distinct):
    codes = np.arange(distinct, dtype=np.uint8)[np.arange(40) % distinct, None]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        places = map_of(codes).places
    for value in range(distinct):
        assert len(np.unique(places[codes[:, 0] == value], axis=0)) == 1
    assert distinct > 1 or (places[0] == 32768).all()
