import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdc.methods.codewords import codewords


def separation(codes):
    """The least share of bits in which two codes differ."""
    shares = (codes[:, None] != codes).mean(axis=2)
    return shares[~np.eye(len(codes), dtype=bool)].min()


@given(st.sampled_from([8, 16, 32, 64]), st.integers(1, 64), st.integers(0, 1000))
def test_powers_of_two_give_orthogonal_codes(bits, classes, seed):
    codes = codewords(min(classes, bits), bits, "orthogonal", seed)
    assert np.array_equal(codes @ codes.T, bits * np.eye(len(codes)))


def test_negatives_serve_more_classes_than_bits():
    codes = codewords(16, 8, "orthogonal", 0)
    assert len({tuple(code) for code in codes.tolist()}) == 16
    assert set((codes @ codes.T).ravel().tolist()) == {8, 0, -8}


@pytest.mark.parametrize(("classes", "bits"), [(10, 48), (30, 24), (40, 16)])
def test_other_codes_are_farther_apart_than_drawn_ones(classes, bits):
    chosen = [separation(codewords(classes, bits, "orthogonal", seed)) for seed in range(3)]
    drawn = [separation(codewords(classes, bits, "bernoulli", seed)) for seed in range(3)]
    assert min(chosen) > max(drawn)


@pytest.mark.parametrize("kind", ["orthogonal", "bernoulli"])
@pytest.mark.parametrize("bits", [24, 64])
def test_codes_are_signs_that_belong_to_the_seed(kind, bits):
    first, again, other = (codewords(7, bits, kind, seed) for seed in (3, 3, 4))
    assert (first.shape, first.dtype) == ((7, bits), np.float32)
    assert set(first.ravel().tolist()) == {-1, 1}
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_no_bit_is_equal_for_all_classes():
    codes = codewords(64, 64, "orthogonal", 0)
    assert (np.abs(codes.sum(axis=0)) < 64).all()


def test_a_single_class():
    assert codewords(1, 24, "orthogonal", 0).shape == (1, 24)
