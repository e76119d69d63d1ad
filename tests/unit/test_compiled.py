import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdc import hamming

compiled = pytest.importorskip("sdc.compiled", reason="needs Numba")


def keys_for(queries, size, depth, bits):
    return np.empty((queries, -(-size // 64) * 64), np.min_scalar_type(depth * (bits + 1) - 1))


@settings(deadline=None)
@given(st.data())
def test_ranks_as_numpy_does(data):
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    queries, size = data.draw(st.integers(1, 5)), data.draw(st.sampled_from([1, 3, 63, 64, 65, 100, 2048, 4100]))
    length, depth = data.draw(st.sampled_from([1, 2, 8, 9, 31, 32, 41, 64])), data.draw(st.integers(1, 4))
    top = data.draw(st.sampled_from([0, 1, size // 2, size]))
    # Few different bytes, so that there are ties.
    codes = [
        generator.integers(0, data.draw(st.sampled_from([2, 256])), (n, length), np.uint8) for n in (queries, size)
    ]
    levels = generator.integers(0, depth, (queries, size)).astype(np.uint8)
    words = [hamming.words(part) for part in codes]
    counts = np.full((queries, depth, 8 * length + 1), -1)
    first = np.full((queries, top), 255, np.uint8)
    compiled.rank(*words, levels, keys_for(queries, size, depth, 8 * length), counts, first)
    for query in range(queries):
        distances = hamming.word_distances(words[0][:, query], words[1])
        expected = hamming.count(distances, levels[query], 8 * length, depth)
        assert np.array_equal(counts[query], expected)
        assert np.array_equal(first[query], levels[query][hamming.nearest(distances, top, expected.sum(axis=0))])


def test_the_largest_keys_are_told_apart():
    # Of two levels, those of 127 bits fit a byte to the last value, and those of 128 bits do not.
    for bits, dtype in ((127, np.uint8), (128, np.uint16)):
        far = np.packbits(np.arange(128) < bits)
        words = hamming.words(np.zeros((1, 16), np.uint8)), hamming.words(np.stack([far, far]))
        keys, counts, first = keys_for(1, 2, 2, bits), np.zeros((1, 2, bits + 1), np.int64), np.zeros((1, 2), np.uint8)
        compiled.rank(*words, np.array([[1, 0]], np.uint8), keys, counts, first)
        assert keys.dtype == dtype
        assert keys[0, :2].tolist() == [2 * bits + 1, 2 * bits]
        assert counts[0, :, bits].tolist() == [1, 1]
        assert counts.sum() == 2
        assert first.tolist() == [[1, 0]]


def test_joins_what_is_near():
    # Codes by their keys, the two highest bits of each; of items 1 and 2 keys differ, of 3 and 4 they do not.
    words = np.array([[0b0000], [0b0011], [0b0111], [0b1000], [0b1001]], np.uint64)
    keys, starts = np.array([0, 0, 1, 2, 2]), np.array([0, 2, 3, 5, 5])
    for masks, expected in (([0], [0, 1, 2, 3, 3]), ([0, 1], [0, 1, 1, 3, 3]), ([0, 1, 2], [0, 1, 1, 0, 0])):
        parents = np.arange(5)
        compiled.join_near(words, keys, starts, np.array(masks), 1, parents, 0, 5)
        assert parents[parents[parents]].tolist() == expected
