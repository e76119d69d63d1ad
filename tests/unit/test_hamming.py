import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sdc import hamming


@st.composite
def code_pairs(draw):
    width = draw(st.sampled_from([1, 2, 3, 8, 9, 16, 24, 25, 40, 64]))
    make = lambda rows: draw(arrays(np.uint8, (rows, width)))  # noqa: E731
    return make(draw(st.integers(1, 4))), make(draw(st.integers(1, 9)))


@given(code_pairs())
def test_distances_count_differing_bits(pair):
    queries, database = pair
    expected = (hamming.unpack(queries)[:, None] != hamming.unpack(database)[None]).sum(axis=2)
    assert np.array_equal(hamming.distances(queries, database), expected)


@given(code_pairs(), st.data())
def test_distances_do_not_change_under_a_mask(pair, data):
    queries, database = pair
    mask = data.draw(arrays(np.uint8, queries.shape[1]))
    assert np.array_equal(hamming.distances(queries, database), hamming.distances(queries ^ mask, database ^ mask))


@given(arrays(np.uint8, st.integers(1, 60)))
def test_rank_is_by_distance_then_row(distances):
    expected = sorted(range(len(distances)), key=lambda row: (distances[row], row))
    assert hamming.rank(distances).tolist() == expected


@given(arrays(bool, st.tuples(st.integers(0, 5), st.sampled_from([8, 16, 72]))))
def test_pack_and_unpack_are_inverse(bits):
    assert np.array_equal(hamming.unpack(hamming.pack(bits)), bits)


def test_pack_has_the_first_bit_in_the_highest_place():
    assert hamming.pack(np.array([[1, 0, 0, 0, 0, 0, 0, 1]]))[0, 0] == 0b10000001


def test_pack_needs_whole_bytes():
    with pytest.raises(ValueError, match="multiple of 8, got 12"):
        hamming.pack(np.zeros((1, 12), bool))


def test_codes_must_be_bytes():
    with pytest.raises(TypeError, match="uint8"):
        hamming.words(np.zeros((2, 8), np.int64))


def test_code_lengths_must_agree():
    with pytest.raises(ValueError, match="16 and 8 bits"):
        hamming.distances(np.zeros((1, 2), np.uint8), np.zeros((1, 1), np.uint8))


def test_greatest_distance_does_not_overflow():
    for width in (24, 32, 64, 512):
        distances = hamming.distances(np.zeros((1, width), np.uint8), np.full((1, width), 255, np.uint8))
        assert distances[0, 0] == 8 * width
