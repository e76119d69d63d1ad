import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sdc import hamming

# More items than are taken at a time, by two and a bit.
LONG = 150_000


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


@given(code_pairs())
def test_distances_are_those_of_faiss(pair):
    faiss = pytest.importorskip("faiss")
    queries, database = pair
    index = faiss.IndexBinaryFlat(8 * queries.shape[1])
    index.add(database)
    found, rows = index.search(queries, len(database))
    assert np.array_equal(np.take_along_axis(hamming.distances(queries, database), rows, axis=1), found)


@given(arrays(np.uint8, st.integers(1, 60)), st.data())
def test_nearest_are_by_distance_then_row(distances, data):
    top = data.draw(st.integers(0, len(distances)))
    expected = sorted(range(len(distances)), key=lambda row: (distances[row], row))
    items = np.bincount(distances, minlength=256)
    assert hamming.nearest(distances, top, items).tolist() == expected[:top]


@pytest.mark.parametrize("bits", [8, 64, 130, 512])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_counts_by_level_and_distance(bits, depth):
    generator = np.random.default_rng(0)
    distances = generator.integers(0, bits + 1, LONG).astype(np.uint8 if bits < 256 else np.uint16)
    levels = generator.integers(0, depth, LONG).astype(np.uint8)
    counts = hamming.count(distances, levels, bits, depth)
    for level in range(depth):
        assert counts[level].tolist() == np.bincount(distances[levels == level], minlength=bits + 1).tolist()


def test_long_databases_are_taken_in_chunks():
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 256, (LONG, 16), np.uint8)
    expected = np.hstack([hamming.distances(codes[:3], part) for part in np.array_split(codes, 7)])
    assert np.array_equal(hamming.distances(codes[:3], codes), expected)


def test_words_of_codes_in_any_memory_order():
    codes = np.random.default_rng(0).integers(0, 256, (5, 16), np.uint8)
    assert np.array_equal(hamming.words(np.asfortranarray(codes)), hamming.words(codes))


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
